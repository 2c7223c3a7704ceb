import type { NixClosureError } from "../errors.ts";
import type { StorePath } from "../nix/store-path.ts";
import type { NarLimits } from "../resolver/open-nar.ts";
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
import type { ReservationPart } from "./shared-reservation.ts";
import type { Programs } from "../compression/programs.ts";
import { WorkerThreads } from "./worker-threads.ts";

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

export interface ConversionPoolOptions {
  /** Conversions at a time. */
  readonly workers: number;
  readonly programs: Programs;
  /** Other time limits for NARs than the usual ones. */
  readonly narLimits?: NarLimits | undefined;
}

/** Where a layer is written. */
export interface LayerTarget {
  readonly file: string;
  /** What the file may have; it is enlarged as needed. */
  readonly reservation: ReservationPart;
  /** Aborts when the layer is of no use any more. */
  readonly signal: AbortSignal;
}

/** Runs conversions in worker threads. */
export class ConversionPool {
  readonly #threads: WorkerThreads<ConversionTask, ConversionResult, GrowthRequest>;
  readonly #options: ConversionPoolOptions;

  constructor(options: ConversionPoolOptions) {
    this.#options = options;
    const { workers } = options;
    this.#threads = new WorkerThreads({ module: "conversion-worker", name: "convert", workers });
  }

  /**
   * Makes a layer in a new file.
   *
   * @throws ConversionFailure
   */
  async run({ file, reservation, signal }: LayerTarget, parts: readonly LayerPart[]): Promise<Layer> {
    const { programs, narLimits } = this.#options;
    const result = await this.#threads.run({
      task: (port) => ({ file, parts, programs, narLimits, granted: reservation.bytes, port }),
      hear: ({ size }, say: (message: ConversionMessage) => void) => {
        reservation.growTo(size).then(
          () => say({ type: "granted", size: reservation.bytes }),
          (error: unknown) => say({ type: "refused", error: toErrorData(error) }),
        );
      },
      abort: (error): ConversionMessage => ({ type: "abort", error }),
      signal,
    });
    if ("layer" in result) return result.layer;
    throw new ConversionFailure(fromErrorData(result.error), result.missing);
  }

  /** Aborts what runs, and ends the threads. */
  async close(): Promise<void> {
    await this.#threads.close();
  }
}
