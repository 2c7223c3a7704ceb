import { Transient } from "./transient.ts";

/** The time of one attempt: its signal aborts when that is over, or with the parent. */
export class AttemptTime implements Disposable {
  readonly #controller = new AbortController();
  readonly #parent: AbortSignal;
  readonly #timer: NodeJS.Timeout;
  readonly #stop = (): void => this.#controller.abort(this.#parent.reason);

  /** @param hurried with all the time that there is, the attempt might have succeeded. */
  constructor(milliseconds: number, hurried: boolean, parent: AbortSignal) {
    this.#parent = parent;
    this.#timer = setTimeout(() => {
      const why = `no whole answer in ${milliseconds / 1000} s`;
      this.#controller.abort(new Transient(why, { unreachable: true, hurried }));
    }, milliseconds);
    if (parent.aborted) this.#stop();
    else parent.addEventListener("abort", this.#stop, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The attempt has what it waited for; from now on only the parent ends what follows. */
  stopClock(): void {
    clearTimeout(this.#timer);
  }

  /** Forgets the parent too: one lives as long as the process, and would keep what listens. */
  [Symbol.dispose](): void {
    this.stopClock();
    this.#parent.removeEventListener("abort", this.#stop);
  }
}
