import { rm } from "node:fs/promises";

import type { Programs } from "../compression/programs.ts";
import type { Closure } from "../nix/closure.ts";
import type { PathInfo } from "../nix/path-info.ts";
import { baseName, type StorePath } from "../nix/store-path.ts";
import type { NarLimits } from "../resolver/open-nar.ts";
import type { Resolver } from "../resolver/resolver.ts";
import { mapBounded } from "../resolver/slots.ts";
import { type CompressedLayer, compressTar } from "./compressed-layer-writer.ts";
import type {
  CompressionAbort,
  CompressionProgress,
  CompressionResult,
  CompressionTask,
  PushedLayer,
} from "./compression-task.ts";
import { fromErrorData } from "./conversion-task.ts";
import { ConversionFailure } from "./conversions.ts";
import { contentLayers } from "./content-layers.ts";
import { compressionName, type LayerCompression } from "./layer-compression.ts";
import type { LayerPart } from "./layer.ts";
import { layerParts } from "./layer-parts.ts";
import {
  layersOf,
  locatedAtATime,
  pathLayerKey,
  planOne,
  type PlannedPath,
  storeLayerKey,
} from "./layer-plan.ts";
import { mountPointEntries } from "./mount-points.ts";
import { WorkerThreads } from "./worker-threads.ts";

export type { PushedLayer } from "./compression-task.ts";

export interface LayerConverterOptions {
  readonly resolver: Resolver;
  /** The source that the paths come from. */
  readonly source: string;
  readonly compression: LayerCompression;
  /** Layers that are made at a time. */
  readonly workers: number;
  readonly programs: Programs;
  /** Other time limits for NARs than the usual ones. */
  readonly narLimits?: NarLimits | undefined;
}

/** A layer that is not made yet. */
export interface PlannedLayer {
  /** What its bytes follow from: layers with the same key have the same digest, on every machine and for ever. */
  readonly key: string;
  readonly paths: readonly PlannedPath[];
  /** Bytes of all NARs together. The tar has a little more or less. */
  readonly narSize: number;
}

/** How a layer is made. */
export interface MakeOptions {
  readonly signal: AbortSignal;
  /** Hears how many bytes of the tar there are, every megabyte; fewer than before after a beginning anew. */
  readonly onProgress?: (tarSize: number) => void;
  /** Says otherwise where a NAR is to be read, and what becomes of it. */
  readonly place?: (part: LayerPart) => LayerPart;
}

/** Makes compressed layers in files, for an ordinary registry: the content is that of our own registry's layers. */
export class LayerConverter {
  readonly #options: LayerConverterOptions;
  readonly #threads: WorkerThreads<CompressionTask, CompressionResult, CompressionProgress>;

  constructor(options: LayerConverterOptions) {
    this.#options = options;
    const { workers } = options;
    const tasksPerWorker = keepsThreadBusy(options) ? 1 : workers;
    this.#threads = new WorkerThreads({
      module: "compression-worker",
      name: "compress",
      workers: Math.ceil(workers / tasksPerWorker),
      tasksPerWorker,
    });
  }

  /** Plans the layer of a path image. */
  async planPath(info: PathInfo, signal: AbortSignal): Promise<PlannedLayer> {
    const path = await this.#plan(info, "", signal);
    return this.#layerOf(pathLayerKey(path), [path]);
  }

  /** Plans the layers of a store image below its mount points: all paths but those with volumes of their own. */
  async planContent(
    closure: Closure,
    own: ReadonlySet<StorePath>,
    signal: AbortSignal,
  ): Promise<readonly PlannedLayer[]> {
    const { content } = layersOf(closure, own);
    const paths = await mapBounded(content, locatedAtATime, async (info) =>
      this.#plan(info, baseName(info.storePath), signal),
    );
    return contentLayers(paths).map((layer) => this.#layerOf(storeLayerKey(layer), layer));
  }

  /** The uppermost layer of a store image: empty directories where volumes are mounted. */
  async mountPoints(
    closure: Closure,
    own: ReadonlySet<StorePath>,
  ): Promise<{ readonly layer: CompressedLayer; readonly bytes: Uint8Array }> {
    const { mounted } = layersOf(closure, own);
    return compressTar(mountPointEntries(mounted), this.#options.compression);
  }

  /**
   * Makes a layer in a new file, which is there only if this resolves. It is made a second time if a cache has lost a NAR,
   * for what is asked of it now may lead elsewhere.
   *
   * @throws fileUnwritable, the signal's reason, and the errors of the resolver and of conversions
   */
  async make(layer: PlannedLayer, file: string, options: MakeOptions): Promise<PushedLayer> {
    try {
      return await this.#makeOnce(layer, file, options);
    } catch (error) {
      if (!this.#forgetMissing(error)) throw unwrap(error);
    }
    try {
      return await this.#makeOnce(layer, file, options);
    } catch (error) {
      this.#forgetMissing(error);
      throw unwrap(error);
    }
  }

  /** Aborts what runs, and ends the threads. */
  async close(): Promise<void> {
    await this.#threads.close();
  }

  async #plan(info: PathInfo, name: string, signal: AbortSignal): Promise<PlannedPath> {
    const { resolver, source } = this.#options;
    return planOne(resolver, source, info, name, signal);
  }

  #layerOf(key: string, paths: readonly PlannedPath[]): PlannedLayer {
    const narSize = paths.reduce((total, { info }) => total + info.narSize, 0);
    return { key: `${key}, ${compressionName(this.#options.compression)}`, paths, narSize };
  }

  async #makeOnce(layer: PlannedLayer, file: string, options: MakeOptions): Promise<PushedLayer> {
    const { resolver, source, compression, programs, narLimits } = this.#options;
    const { signal, onProgress, place = (part) => part } = options;
    const parts = (await layerParts(resolver, source, layer.paths, signal)).map(place);
    let result: CompressionResult;
    try {
      result = await this.#threads.run({
        task: (port) => ({ file, parts, compression, programs, narLimits, port }),
        hear: ({ tarSize }) => onProgress?.(tarSize),
        abort: (error): CompressionAbort => ({ error }),
        signal,
      });
    } catch (error) {
      await rm(file, { force: true });
      throw error;
    }
    if ("layer" in result) return result.layer;
    await rm(file, { force: true });
    signal.throwIfAborted();
    throw new ConversionFailure(fromErrorData(result.error), result.missing);
  }

  #forgetMissing(error: unknown): boolean {
    if (!(error instanceof ConversionFailure)) return false;
    for (const path of error.missing) this.#options.resolver.forget(this.#options.source, path);
    return error.missing.length > 0;
  }
}

/**
 * Whether a layer takes all of a thread. Programs decompress in processes of their own, and zstd compresses in threads of
 * the library's, so that what is left for ours is to hash, and one does that for all layers: each thread more would
 * take some 40 MiB. gzip, and decoders that stand in for programs, are JavaScript and WebAssembly.
 */
function keepsThreadBusy({ compression, programs }: LayerConverterOptions): boolean {
  return compression === "gzip" || programs.xz === undefined;
}

function unwrap(error: unknown): unknown {
  return error instanceof ConversionFailure ? error.error : error;
}
