/** A signal that aborts when a time is over, which can be set anew, or with one of its parents. */
export class Deadline implements Disposable {
  readonly #controller = new AbortController();
  readonly #parents: readonly { readonly parent: AbortSignal; readonly listener: () => void }[];
  #timer: NodeJS.Timeout | undefined;

  constructor(parents: readonly (AbortSignal | undefined)[]) {
    this.#parents = parents
      .filter((parent) => parent !== undefined)
      .map((parent) => ({ parent, listener: () => this.#controller.abort(parent.reason) }));
    for (const { parent, listener } of this.#parents) {
      if (parent.aborted) listener();
      else parent.addEventListener("abort", listener, { once: true });
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Aborts after so many milliseconds from now with a reason, instead of what was set before. */
  set(milliseconds: number, reason: () => Error): void {
    this.clear();
    this.#timer = setTimeout(() => this.#controller.abort(reason()), milliseconds);
  }

  clear(): void {
    clearTimeout(this.#timer);
  }

  /** Forgets the parents too: one may live as long as the process, and would keep what listens. */
  [Symbol.dispose](): void {
    this.clear();
    for (const { parent, listener } of this.#parents) parent.removeEventListener("abort", listener);
  }
}

/** The promise's outcome, or the signal's reason if that aborts first. */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const stop = (): void => aborted.reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
