import { registryUnavailable } from "../errors.ts";
import type { Clock } from "../clock.ts";
import type { Transient } from "./transient.ts";

/** When trying again ends. */
export interface RetryLimits {
  /** Attempts in a row without success; an upload that went on in between begins anew to count. */
  readonly attempts: number;
  /**
   * Milliseconds of all pauses in a row together. Attempts have limits of their own, but for sending a blob, which may
   * take hours.
   */
  readonly patience: number;
}

/** A push has nothing else to do than to wait: seven pauses, half a minute, are as long as a registry takes for its restart. */
export const retryLimits: RetryLimits = { attempts: 8, patience: 300_000 };

/** Pauses (milliseconds): a connection that broke is soon made again, an overloaded registry wants rest. */
const baseDelay = 200;
const baseDelayOverloaded = 1_000;
const maxDelay = 60_000;

/** The attempts at one thing. */
export class Attempts {
  readonly #name: string;
  readonly #doing: string;
  readonly #limits: RetryLimits;
  readonly #clock: Clock;
  #failures = 0;
  /** Milliseconds of pauses in this row of failures. */
  #paused = 0;

  /**
   * @param name the repository, for messages.
   * @param doing what is tried, in words that follow "when".
   */
  constructor(name: string, doing: string, limits: RetryLimits, clock: Clock) {
    this.#name = name;
    this.#doing = doing;
    this.#limits = limits;
    this.#clock = clock;
  }

  /** There was progress: what fails from now on is a new row of failures. */
  progressed(): void {
    this.#failures = 0;
    this.#paused = 0;
  }

  /**
   * Waits until the next attempt is due.
   *
   * @throws registryUnavailable if there is to be none; the signal's reason.
   */
  async failed(error: Transient, signal: AbortSignal): Promise<void> {
    this.#failures++;
    const delay = this.#delay(error);
    this.#paused += delay;
    const late = this.#paused > this.#limits.patience;
    if (error.lasting || late || this.#failures >= this.#limits.attempts) {
      throw registryUnavailable(this.#name, this.#doing, this.#explain(error)).causedBy(error);
    }
    await this.#clock.sleep(delay, signal);
  }

  /**
   * Doubled each time, with up to half a doubling at random: those that failed together do not come back together.
   * What the registry asks for comes first, unless that is less.
   */
  #delay(error: Transient): number {
    const base = error.overloaded ? baseDelayOverloaded : baseDelay;
    const grown = Math.min(maxDelay, base * 2 ** (this.#failures - 1 + this.#clock.random() / 2));
    return Math.max(error.retryAfter ?? 0, grown);
  }

  #explain({ message, retryAfter }: Transient): string {
    const attempts = this.#failures === 1 ? "" : `, ${this.#failures} times in a row`;
    const seconds = Math.ceil((retryAfter ?? 0) / 1000);
    if (seconds === 0) return message + attempts;
    const pause = seconds > 86_400 ? "more than a day" : `${seconds} s`;
    return `${message}${attempts}, and it asks for a pause of ${pause}`;
  }
}
