import type { Clock } from "../../src/resolver/clock.ts";

/** A clock that stands still, but for its own pauses: those are over at once, and are noted. */
export class TestClock implements Clock {
  /** The pauses so far, in milliseconds. */
  readonly pauses: number[] = [];
  readonly #limits = new Set<{ readonly at: number; readonly over: () => void }>();
  readonly #longestPause: number;
  #now = 1_000_000;
  /** What `random` gives. */
  chance = 0;

  /** @param longestPause waits that are no shorter (milliseconds) are limits, not pauses; they end only by `advance`. */
  constructor(longestPause = 600_000) {
    this.#longestPause = longestPause;
  }

  now(): number {
    return this.#now;
  }

  random(): number {
    return this.chance;
  }

  async sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (milliseconds < this.#longestPause) {
      this.pauses.push(milliseconds);
      this.#now += milliseconds;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const limit = { at: this.#now + milliseconds, over: resolve };
      this.#limits.add(limit);
      signal.addEventListener("abort", () => {
        this.#limits.delete(limit);
        reject(signal.reason);
      });
    });
  }

  /** The number of waits that only `advance` can end. */
  get limits(): number {
    return this.#limits.size;
  }

  advance(milliseconds: number): void {
    this.#now += milliseconds;
    for (const limit of this.#limits) if (limit.at <= this.#now) limit.over();
  }
}
