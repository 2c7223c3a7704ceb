import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";

/** Time and chance, so that tests can give their own. */
export interface Clock {
  /** Milliseconds since some fixed point; never goes back. */
  now(): number;
  /** Waits so many milliseconds; rejects with the signal's reason when that aborts. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
  /** From 0 to less than 1. */
  random(): number;
}

/** The machine's. */
export const systemClock: Clock = {
  now: () => performance.now(),
  random: () => Math.random(),
  async sleep(milliseconds, signal) {
    try {
      await delay(milliseconds, undefined, { signal });
    } catch {
      signal.throwIfAborted();
    }
  },
};
