import { cacheUnavailable } from "../errors.ts";
import type { Closure } from "../nix/closure.ts";
import type { Clock } from "./clock.ts";
import { unlessAborted } from "./flights.ts";
import { Walk, type WalkOptions } from "./walk.ts";
import { whyAborted } from "./why-aborted.ts";

/**
 * How long a walk may take (milliseconds), whether or not somebody waits for it. A walk is of use for as long as who
 * asked may come again: the pauses of controllers between tries end at 5 to 16 minutes.
 */
const walkTime = 10 * 60_000;

/** Walks that go on while nobody waits. Each new one ends the oldest: names made up at will must not pile up work. */
const maxAbandoned = 32;

interface Running {
  readonly walk: Walk;
  readonly closure: Promise<Closure>;
  readonly controller: AbortController;
  waiting: number;
}

/** The walks that are under way. Who asks for roots that are walked already joins; who leaves does not end it. */
export class Walks {
  readonly #clock: Clock;
  readonly #running = new Map<string, Running>();
  /** In the order that they were abandoned. */
  readonly #abandoned = new Set<Running>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Starts or joins a walk.
   *
   * @param closing stops every walk.
   * @param finished is told the walk before anybody else.
   * @throws resolveTimeout when the caller's time is over, its signal's reason, and what the walk throws
   */
  async join(
    key: string,
    options: Omit<WalkOptions, "signal">,
    closing: AbortSignal,
    signal: AbortSignal | undefined,
    finished: (walk: Walk, closure: Closure) => void,
  ): Promise<Closure> {
    const started = this.#clock.now();
    const what = `the closure of ${options.roots.join(" ")}`;
    if (signal?.aborted === true) throw whyAborted(signal, what, 0, 0);
    const running = this.#running.get(key) ?? this.#start(key, options, closing, finished);
    running.waiting++;
    this.#abandoned.delete(running);
    const aborted = (): Error => {
      const seconds = (this.#clock.now() - started) / 1000;
      return whyAborted(signal, what, seconds, running.walk.known.size);
    };
    try {
      return await unlessAborted(running.closure, signal, aborted);
    } finally {
      running.waiting--;
      if (running.waiting === 0 && this.#running.get(key) === running) this.#abandon(running);
    }
  }

  #start(
    key: string,
    options: Omit<WalkOptions, "signal">,
    closing: AbortSignal,
    finished: (walk: Walk, closure: Closure) => void,
  ): Running {
    const controller = new AbortController();
    const walk = new Walk({ ...options, signal: AbortSignal.any([controller.signal, closing]) });
    const what = `the closure of ${options.roots.join(" ")}`;
    const overdue = cacheUnavailable(
      options.caches.join(", "),
      what,
      `it is not complete after ${walkTime / 60_000} minutes`,
    );
    this.#clock.sleep(walkTime, controller.signal).then(
      () => controller.abort(overdue),
      () => undefined,
    );
    const closure = walk
      .run()
      .then((resolved) => {
        finished(walk, resolved);
        return resolved;
      })
      .finally(() => {
        this.#running.delete(key);
        this.#abandoned.delete(running);
        // Ends the wait for its time to be over.
        controller.abort();
      });
    const running: Running = { walk, closure, controller, waiting: 0 };
    this.#running.set(key, running);
    return running;
  }

  #abandon(running: Running): void {
    this.#abandoned.add(running);
    const [oldest] = this.#abandoned;
    if (this.#abandoned.size <= maxAbandoned || oldest === undefined) return;
    const why = "too many others go on without anybody waiting";
    this.#abandoned.delete(oldest);
    oldest.controller.abort(cacheUnavailable("the cache", "an abandoned closure", why));
  }
}
