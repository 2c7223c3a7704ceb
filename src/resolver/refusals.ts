import { LRUCache } from "lru-cache";
import type { Clock } from "./clock.ts";
import type { NixClosureError } from "../errors.ts";

/**
 * How long a refusal is believed (milliseconds): often somebody pushes what is missing next and tries again. It keeps a
 * Deployment of 100 Pods from asking 100 times.
 */
const refusalFor = 5_000;
const maxRefusals = 1_000;

/** What an ordinary registry was asked for in vain: errors that are not temporary, each for some seconds. */
export class Refusals {
  readonly #clock: Clock;
  readonly #known = new LRUCache<string, { readonly error: NixClosureError; readonly until: number }>({
    max: maxRefusals,
  });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @throws the error that still stands for what is asked for */
  check(label: string): void {
    const refusal = this.#known.get(label);
    if (refusal !== undefined && this.#clock.now() < refusal.until) throw refusal.error;
  }

  /** Notes an error, unless it is temporary. */
  note(label: string, error: NixClosureError): void {
    if (!error.temporary) this.#known.set(label, { error, until: this.#clock.now() + refusalFor });
  }
}
