/** Work that is under way, by key: who asks for the same meanwhile shares its outcome. */
export class Flights<T> {
  readonly #running = new Map<string, Promise<T>>();

  /** Starts the work, or joins it. */
  run(key: string, work: () => Promise<T>): Promise<T> {
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    const flight = work().finally(() => this.#running.delete(key));
    this.#running.set(key, flight);
    return flight;
  }
}

/**
 * What the promise gives, unless the signal aborts first.
 *
 * @param aborted makes the error to reject with.
 */
export async function unlessAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  aborted: () => Error,
): Promise<T> {
  if (signal === undefined) return promise;
  if (signal.aborted) {
    // A failure that comes later is nobody's.
    promise.catch(() => undefined);
    throw aborted();
  }
  const { promise: abort, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(aborted());
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, abort]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
