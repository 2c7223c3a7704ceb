import { cacheUnavailable } from "../errors.ts";
import type { Clock } from "./clock.ts";
import { Transient } from "./transient.ts";

/** Attempts, base delays and the longest delay (milliseconds) are those of Nix (src/libstore/filetransfer.hh, 2.36). */
const maxAttempts = 5;
const baseDelay = 100;
const baseDelayOverloaded = 5_000;
const maxDelay = 60_000;

/**
 * How long a cache without connection is not asked (milliseconds). Nix leaves such a cache for 60 s, for the one user
 * who waits. Here a controller tries again and again with growing pauses: 10 s spare the requests of the meantime the
 * timeouts, and the cache is back in use with the controller's next try after its recovery.
 */
const asideFor = 10_000;

/** The attempts of one cache; knows whether the cache is worth an attempt. */
export class Retries {
  readonly #cache: string;
  readonly #clock: Clock;
  #aside: { readonly until: number; probing: boolean } | undefined;
  /** Answers of the cache so far, to any request: one that answers others is overrun, not gone. */
  #answers = 0;

  /** @param cache its name, for messages. */
  constructor(cache: string, clock: Clock) {
    this.#cache = cache;
    this.#clock = clock;
  }

  /**
   * Tries until an attempt succeeds, with growing pauses.
   *
   * @param patience milliseconds after which no pause begins or ends; an attempt that runs is left to run.
   * @throws cacheUnavailable after the last attempt, or without any if the cache is put aside; what an attempt throws
   * that is not Transient; the signal's reason.
   */
  async run<T>(what: string, patience: number, signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    const end = this.#clock.now() + patience;
    const answersBefore = this.#answers;
    for (let tries = 1; ; tries++) {
      signal.throwIfAborted();
      const probe = this.#enter(what);
      try {
        const result = await attempt();
        this.#answered();
        return result;
      } catch (error) {
        if (!(error instanceof Transient)) {
          if (signal.aborted) this.#leave(probe);
          else this.#answered();
          throw error;
        }
        const delay = this.#delay(error, tries);
        const late = this.#clock.now() + delay > end;
        const over = probe || late || tries === maxAttempts;
        if (!error.unreachable) this.#answered();
        // One quick failure may be chance; one that took all the patience is not worth waiting for again.
        else if (
          over &&
          this.#answers === answersBefore &&
          (probe || tries > 1 || this.#clock.now() >= end)
        ) {
          this.#putAside();
        }
        if (over) throw cacheUnavailable(this.#cache, what, explain(error, tries)).causedBy(error);
        await this.#clock.sleep(delay, signal);
      }
    }
  }

  /** Whether this attempt is the one that finds out if the cache is back. */
  #enter(what: string): boolean {
    if (this.#aside === undefined) return false;
    const left = this.#aside.until - this.#clock.now();
    if (left > 0 || this.#aside.probing) {
      const again = left > 0 ? `in ${Math.ceil(left / 1000)} s` : "just now";
      throw cacheUnavailable(this.#cache, what, `it did not answer before, and is asked again ${again}`);
    }
    this.#aside.probing = true;
    return true;
  }

  #answered(): void {
    this.#answers++;
    this.#aside = undefined;
  }

  #putAside(): void {
    this.#aside = { until: this.#clock.now() + asideFor, probing: false };
  }

  /** After an attempt that was given up: it found out nothing. */
  #leave(probe: boolean): void {
    if (probe && this.#aside !== undefined) this.#aside.probing = false;
  }

  /** As Nix: doubled each time, with up to half a doubling at random; what the cache asks for comes first. */
  #delay(error: Transient, tries: number): number {
    if (error.retryAfter !== undefined) return error.retryAfter;
    const base = error.overloaded ? baseDelayOverloaded : baseDelay;
    return Math.min(maxDelay, base * 2 ** (tries - 1 + this.#clock.random() / 2));
  }
}

function explain(error: Transient, tries: number): string {
  return tries === 1 ? error.message : `${error.message}, at the ${ordinal(tries)} attempt`;
}

function ordinal(count: number): string {
  return ["first", "second", "third", "fourth", "fifth"][count - 1] ?? `${count}th`;
}
