import { cacheUnavailable } from "../errors.ts";
import type { Patience } from "./cache.ts";
import type { Clock } from "./clock.ts";
import { Transient } from "./transient.ts";
import { type Turn, Window } from "./window.ts";

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

/** The attempts of one cache; knows whether the cache is worth an attempt, and how many at a time. */
export class Retries {
  readonly window: Window;
  readonly #cache: string;
  readonly #clock: Clock;
  /** Until when, and whether only for those who have something else to do: with more time it may answer. */
  #aside: { readonly until: number; readonly hurriedOnly: boolean; probing: boolean } | undefined;
  /** Answers of the cache so far, to any request: one that answers others is overrun, not gone. */
  #answers = 0;

  /** @param cache its name, for messages. */
  constructor(cache: string, clock: Clock) {
    this.#cache = cache;
    this.#clock = clock;
    this.window = new Window(clock);
  }

  /**
   * Tries until an attempt succeeds, with growing pauses.
   *
   * @param patience no pause begins or ends after all of it; an attempt that runs is left to run.
   * @throws cacheUnavailable after the last attempt, or without any if the cache is put aside; what an attempt throws
   * that is not Transient; the signal's reason.
   */
  async run<T>(what: string, patience: Patience, signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    const end = this.#clock.now() + patience.all;
    const answersBefore = this.#answers;
    for (let tries = 1; ; tries++) {
      const outcome = await this.#attempt(what, patience, signal, attempt);
      if ("result" in outcome) return outcome.result;
      const { error, probe } = outcome;
      const delay = this.#delay(error, tries);
      const late = this.#clock.now() + delay > end;
      const over = probe || late || tries === maxAttempts;
      // One quick failure may be chance; one that took all the patience is not worth waiting for again.
      const telling = probe || tries > 1 || this.#clock.now() >= end;
      if (error.unreachable && over && telling && this.#answers === answersBefore) {
        this.#putAside(error.hurried);
      }
      if (over) throw cacheUnavailable(this.#cache, what, explain(error, tries)).causedBy(error);
      await this.#clock.sleep(delay, signal);
    }
  }

  /** One attempt, when its turn has come; by then the cache may have been put aside. */
  async #attempt<T>(
    what: string,
    patience: Patience,
    signal: AbortSignal,
    attempt: () => Promise<T>,
  ): Promise<{ readonly result: T } | { readonly error: Transient; readonly probe: boolean }> {
    using turn = await this.window.turn();
    signal.throwIfAborted();
    const probe = this.#enter(what, patience.hurried);
    try {
      const result = await attempt();
      this.#answered(turn);
      return { result };
    } catch (error) {
      if (!(error instanceof Transient)) {
        if (signal.aborted) this.#leave(probe);
        else this.#answered(turn);
        throw error;
      }
      if (error.unreachable) turn.unreachable();
      else this.#answered(turn);
      return { error, probe };
    }
  }

  /** Whether this attempt is the one that finds out if the cache is back. */
  #enter(what: string, hurried: boolean): boolean {
    if (this.#aside === undefined || (this.#aside.hurriedOnly && !hurried)) return false;
    const left = this.#aside.until - this.#clock.now();
    if (left > 0 || this.#aside.probing) {
      const again = left > 0 ? `in ${Math.ceil(left / 1000)} s` : "just now";
      throw cacheUnavailable(this.#cache, what, `it did not answer before, and is asked again ${again}`);
    }
    this.#aside.probing = true;
    return true;
  }

  #answered(turn: Turn): void {
    turn.answered();
    this.#answers++;
    this.#aside = undefined;
  }

  #putAside(hurriedOnly: boolean): void {
    this.#aside = { until: this.#clock.now() + asideFor, hurriedOnly, probing: false };
  }

  /** After an attempt that was given up: it found out nothing. */
  #leave(probe: boolean): void {
    if (probe && this.#aside !== undefined) this.#aside.probing = false;
  }

  /**
   * As Nix: doubled each time, with up to half a doubling at random. What the cache asks for comes first, unless that is
   * no pause at all.
   */
  #delay(error: Transient, tries: number): number {
    const grown = 2 ** (tries - 1 + this.#clock.random() / 2);
    if (error.retryAfter !== undefined) return Math.max(error.retryAfter, baseDelay * grown);
    const base = error.overloaded ? baseDelayOverloaded : baseDelay;
    return Math.min(maxDelay, base * grown);
  }
}

function explain({ message, retryAfter }: Transient, tries: number): string {
  const attempt = tries === 1 ? "" : `, at the ${ordinal(tries)} attempt`;
  const seconds = Math.ceil((retryAfter ?? 0) / 1000);
  if (seconds === 0) return message + attempt;
  const pause = seconds > 86_400 ? "more than a day" : `${seconds} s`;
  return `${message}${attempt}, and a pause of ${pause} is asked for`;
}

function ordinal(count: number): string {
  return ["first", "second", "third", "fourth", "fifth"][count - 1] ?? `${count}th`;
}
