import { extname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { MessageChannel } from "node:worker_threads";

import { Piscina } from "piscina";

import { internal, type NixClosureError, shuttingDown } from "../errors.ts";
import type { StorePath } from "../nix/store-path.ts";
import type { NarLimits } from "../resolver/open-nar.ts";
import type { Reservation } from "./blob-budget.ts";
import {
  type ConversionMessage,
  type ConversionResult,
  type ConversionTask,
  fromErrorData,
  type GrowthRequest,
  toErrorData,
} from "./conversion-task.ts";
import type { Layer } from "./layer-writer.ts";
import type { LayerPart } from "./layer.ts";
import type { Programs } from "../compression/programs.ts";

/** A conversion failed; `missing` are paths whose NAR is gone from a cache that has their narinfo. */
export class ConversionFailure extends Error {
  override readonly name = "ConversionFailure";
  readonly error: NixClosureError;
  readonly missing: readonly StorePath[];

  constructor(error: NixClosureError, missing: readonly StorePath[]) {
    super(error.message, { cause: error });
    this.error = error;
    this.missing = missing;
  }
}

/** Threads that wait for work this long (milliseconds) end, and give back their memory. */
const idleTimeout = 30_000;
/** Nearly all that a conversion makes is of use for a moment: with more room the collector would only come later. */
const maxYoungGenerationSizeMb = 6;
/** How long (milliseconds) a conversion may take to notice that it is to end; a block of bzip2 takes a second. */
const abortTimeout = 5_000;

export interface ConversionPoolOptions {
  /** Conversions at a time. */
  readonly workers: number;
  readonly programs: Programs;
  /** Other time limits for NARs than the usual ones. */
  readonly narLimits?: NarLimits | undefined;
}

/** Runs conversions in worker threads. */
export class ConversionPool {
  readonly #pool: Piscina<ConversionTask, ConversionResult>;
  readonly #options: ConversionPoolOptions;
  readonly #runs = new Map<AbortController, Promise<ConversionResult>>();
  readonly #closing = new AbortController();

  constructor(options: ConversionPoolOptions) {
    this.#options = options;
    // The worker has this file's extension: .ts in the source, .js once it is compiled.
    const worker = new URL(`./conversion-worker${extname(import.meta.url)}`, import.meta.url);
    this.#pool = new Piscina({
      filename: fileURLToPath(worker),
      name: "convert",
      minThreads: 0,
      maxThreads: options.workers,
      idleTimeout,
      resourceLimits: { maxYoungGenerationSizeMb },
      // Piscina's own way of waiting stops the thread's event loop, and with it the closing of idle connections.
      atomics: "disabled",
    });
    this.#pool.on("error", (error: unknown) => this.#onIdleFailure(error));
  }

  /**
   * Makes a layer in a new file.
   *
   * @param reservation of the bytes that the file may have; it is enlarged as needed.
   * @throws ConversionFailure
   */
  async run(file: string, parts: readonly LayerPart[], reservation: Reservation): Promise<Layer> {
    const { port1: port, port2 } = new MessageChannel();
    const say = (message: ConversionMessage): void => port.postMessage(message, []);
    const abort = (): void => say({ type: "abort", error: toErrorData(this.#closing.signal.reason) });
    port.on("message", ({ size }: GrowthRequest) => {
      reservation.growTo(size).then(
        () => say({ type: "granted", size: reservation.bytes }),
        (error: unknown) => say({ type: "refused", error: toErrorData(error) }),
      );
    });
    this.#closing.signal.addEventListener("abort", abort, { once: true });
    try {
      this.#closing.signal.throwIfAborted();
      const { programs, narLimits } = this.#options;
      const task = { file, parts, programs, narLimits, granted: reservation.bytes, port: port2 };
      const result = await this.#runInThread(task);
      if ("layer" in result) return result.layer;
      throw new ConversionFailure(fromErrorData(result.error), result.missing);
    } finally {
      this.#closing.signal.removeEventListener("abort", abort);
      port.close();
    }
  }

  /** Aborts what runs, and ends the threads. */
  async close(): Promise<void> {
    this.#closing.abort(shuttingDown());
    const over = new AbortController();
    const timeout = delay(abortTimeout, undefined, { signal: over.signal }).catch(() => undefined);
    await Promise.race([Promise.allSettled(this.#runs.values()), timeout]);
    over.abort();
    await this.#pool.destroy();
  }

  async #runInThread(task: ConversionTask): Promise<ConversionResult> {
    const stop = new AbortController();
    const run = this.#pool.run(task, { transferList: [task.port], signal: stop.signal });
    this.#runs.set(stop, run);
    try {
      return await run;
    } catch (error) {
      // The thread itself ended, by itself or by `stop`.
      throw internal("a conversion thread ended").causedBy(stop.signal.aborted ? stop.signal.reason : error);
    } finally {
      this.#runs.delete(stop);
    }
  }

  /** A thread failed that ran nothing. If it was the last one, it failed to start, and nobody runs what waits. */
  #onIdleFailure(error: unknown): void {
    if (this.#pool.threads.length > 0) return;
    for (const stop of this.#runs.keys()) stop.abort(error);
  }
}
