import { NixClosureError, registryUnavailable } from "../errors.ts";
import type { Clock } from "./clock.ts";

/**
 * How long a registry that does not answer is not asked (milliseconds), as with binary caches: it spares those who ask
 * meanwhile the timeouts, and it is in use again with a controller's next try after its recovery.
 */
const asideFor = 10_000;

/** Knows whether a registry is worth a question. */
export class Outage {
  readonly #name: string;
  readonly #clock: Clock;
  #until = -Infinity;
  /** Questions that it answered, whatever the answer was: a registry that answers others is not gone. */
  #answers = 0;

  /** @param name the repository, for messages. */
  constructor(name: string, clock: Clock) {
    this.#name = name;
    this.#clock = clock;
  }

  /**
   * Asks, unless the registry did not answer just before.
   *
   * @param doing what is wanted, in words that follow "when".
   * @throws registryUnavailable without a question, and what `ask` throws
   */
  async unless<T>(doing: string, ask: () => Promise<T>): Promise<T> {
    const left = this.#until - this.#clock.now();
    if (left > 0) {
      const why = `it did not answer before, and is asked again in ${Math.ceil(left / 1000)} s`;
      throw registryUnavailable(this.#name, doing, why);
    }
    const before = this.#answers;
    try {
      const answer = await ask();
      this.#answers++;
      return answer;
    } catch (error) {
      if (!(error instanceof NixClosureError) || !error.temporary) this.#answers++;
      else if (this.#answers === before) this.#until = this.#clock.now() + asideFor;
      throw error;
    }
  }
}
