import { performance } from "node:perf_hooks";

import { blobBudgetExhausted, formatBytes } from "../errors.ts";
import { type Digest, sha256Digest } from "../oci/digest.ts";
import type { Resolver } from "../resolver/resolver.ts";
import { mapInSlots, Slots } from "../resolver/slots.ts";
import { baseLayer } from "./base-image.ts";
import type { BlobStore, MadeLayer } from "./blob-store.ts";
import type { ConversionPool, LayerTarget } from "./conversions.ts";
import type { ImagesLog, ImagesObserver } from "./images-observer.ts";
import { layerParts } from "./layer-parts.ts";
import type { ImagePlan, LayerPlan } from "./layer-plan.ts";
import type { Layer } from "./layer-writer.ts";
import { SharedReservation } from "./shared-reservation.ts";

export interface LayerMakerOptions {
  readonly resolver: Resolver;
  readonly store: BlobStore;
  readonly pool: ConversionPool;
  /** Conversions at a time. */
  readonly workers: number;
  readonly observer: ImagesObserver;
  readonly log: ImagesLog;
  /** Ends everything. */
  readonly signal: AbortSignal;
}

/** Tar of small files is larger than their NAR: beyond its size, so much is set aside before the conversion starts. */
const margin = { factor: 1.05, bytes: 64 * 1024, bytesForEachPath: 1024 } as const;

interface TimedLayer extends MadeLayer {
  /** That it took to make it. */
  readonly seconds: number;
}

/** Makes layers into blobs of the store. */
export class LayerMaker {
  readonly #options: LayerMakerOptions;
  /** Who makes it, by layer key. */
  readonly #making = new Map<string, Promise<readonly MadeLayer[]>>();
  /** A conversion has its thread before bytes are set aside for it: one that waits for a thread holds none. */
  readonly #slots: Slots;

  constructor(options: LayerMakerOptions) {
    this.#options = options;
    this.#slots = new Slots(options.workers);
  }

  /**
   * Makes the layers of an image that are not there, or joins whoever makes them already.
   *
   * @returns those that it has made itself, on which it has leases.
   * @throws ConversionFailure, blobBudgetExhausted, diskFailed, and the errors of the resolver
   */
  async makeMissing(image: ImagePlan): Promise<readonly Digest[]> {
    const { store } = this.#options;
    const missing = image.layers.filter(({ key }) => store.useLayer(key) === undefined);
    if (missing.length > 0) this.#expectToFit(image);
    const others = new Set(missing.flatMap(({ key }) => this.#making.get(key) ?? []));
    const own = missing.filter(({ key }) => !this.#making.has(key));
    const made = own.length === 0 ? Promise.resolve([]) : this.#begin(image, own);
    const [ownMade] = await Promise.all([made, ...others]);
    return ownMade.map(({ digest }) => digest);
  }

  /** Waits until nothing is being made any more. */
  async whenIdle(): Promise<void> {
    while (this.#making.size > 0) await Promise.allSettled(this.#making.values());
  }

  /** Waits until a layer can be made without anybody else having to wait for it. */
  async whenFree(): Promise<void> {
    return this.#slots.whenFree();
  }

  #expectToFit({ layers }: ImagePlan): void {
    const { maxBytes } = this.#options.store.budget;
    const bytes = narBytes(layers);
    if (bytes > maxBytes) throw blobBudgetExhausted(formatBytes(bytes), formatBytes(maxBytes));
  }

  #begin(image: ImagePlan, layers: readonly LayerPlan[]): Promise<readonly MadeLayer[]> {
    const making = this.#slots
      .run(async () => this.#make(image, layers))
      .finally(() => layers.forEach(({ key }) => this.#making.delete(key)));
    for (const { key } of layers) this.#making.set(key, making);
    return making;
  }

  async #make(image: ImagePlan, layers: readonly LayerPlan[]): Promise<readonly MadeLayer[]> {
    const { observer, log } = this.#options;
    const { kind } = image;
    const { repository, tag } = image.image;
    const started = performance.now();
    try {
      const made = await this.#makeTogether(image, layers);
      for (const { digest, size, seconds } of made) {
        observer.conversion({ kind, outcome: "ok", seconds, bytes: size });
        log.debug({ repository, tag, digest, size }, "a layer was made");
      }
      return made;
    } catch (error) {
      observer.conversion({ kind, outcome: "error", seconds: secondsSince(started), bytes: 0 });
      throw error;
    }
  }

  /**
   * Makes layers, and publishes them together: until the last one is there, all are files for which bytes are set aside. So
   * nobody who waits for bytes has any that another one waits for, and what fails leaves nothing behind.
   */
  async #makeTogether(image: ImagePlan, layers: readonly LayerPlan[]): Promise<readonly TimedLayer[]> {
    const { store, workers, signal } = this.#options;
    const reservation = await store.budget.reserve(this.#bytesAtFirst(layers), signal);
    const shared = new SharedReservation(reservation);
    const bytesOf = (layer: LayerPlan): number =>
      layers.length === 1
        ? reservation.bytes
        : Math.floor((reservation.bytes * narBytes([layer])) / narBytes(layers));
    const files: string[] = [];
    try {
      const made = await mapInSlots(
        // The largest first, so that the threads end at about the same time.
        layers.toSorted((a, b) => narBytes([b]) - narBytes([a])),
        { slots: this.#slots, others: workers - 1 },
        async (layer, until): Promise<TimedLayer> => {
          const file = store.temporaryFile();
          files.push(file);
          const started = performance.now();
          const target = { file, reservation: shared.part(bytesOf(layer)), signal: until };
          const { digest, size } = await this.#write(image, layer, target);
          return { temporary: file, key: layer.key, digest, size, seconds: secondsSince(started) };
        },
      );
      await store.publish(made, reservation);
      return made;
    } finally {
      // What was published is neither there any more nor set aside.
      for (const file of files) await store.removeTemporary(file);
      reservation.release();
    }
  }

  async #write({ source }: ImagePlan, { paths }: LayerPlan, target: LayerTarget): Promise<Layer> {
    const { store, resolver, pool, signal } = this.#options;
    if (source === undefined) {
      const bytes = baseLayer();
      await store.writeTemporary(target.file, bytes);
      return { digest: sha256Digest(bytes), size: bytes.length };
    }
    return pool.run(target, await layerParts(resolver, source, paths, signal));
  }

  #bytesAtFirst(layers: readonly LayerPlan[]): number {
    const bytes = narBytes(layers);
    const paths = layers.reduce((total, layer) => total + layer.paths.length, 0);
    const likely =
      Math.ceil(bytes * margin.factor) + layers.length * margin.bytes + paths * margin.bytesForEachPath;
    // The margin alone is no reason to refuse it.
    return Math.max(bytes, Math.min(likely, this.#options.store.budget.maxBytes));
  }
}

function secondsSince(started: number): number {
  return (performance.now() - started) / 1000;
}

function narBytes(layers: readonly LayerPlan[]): number {
  return layers.reduce((all, { paths }) => paths.reduce((total, { info }) => total + info.narSize, all), 0);
}
