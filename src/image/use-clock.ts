/** A time that every file system can keep, in milliseconds since the epoch. */
const maxTime = Date.UTC(2400, 0);

/** Times of use, each later than those before it, whatever the machine's clock does: it is their order that counts. */
export class UseClock {
  readonly #now: () => number;
  #last = 0;

  /** @param now milliseconds since the epoch. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Goes on after a use of an earlier run. */
  startAfter(last: number): void {
    this.#last = Math.min(last, maxTime);
  }

  next(): Date {
    this.#last = Math.min(Math.max(this.#now(), this.#last + 1), maxTime);
    return new Date(this.#last);
  }
}
