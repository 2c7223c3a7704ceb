import { performance } from "node:perf_hooks";

import { sha256Digest } from "../oci/digest.ts";
import { Flights } from "../resolver/flights.ts";
import type { Resolver } from "../resolver/resolver.ts";
import { Slots } from "../resolver/slots.ts";
import { baseLayer } from "./base-image.ts";
import type { BlobStore } from "./blob-store.ts";
import type { ConversionPool } from "./conversions.ts";
import type { ImagesLog, ImagesObserver } from "./images-observer.ts";
import { layerParts } from "./layer-parts.ts";
import type { LayerPlan } from "./layer-plan.ts";
import type { Layer } from "./layer-writer.ts";

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

/** Makes layers into blobs of the store. */
export class LayerMaker {
  readonly #options: LayerMakerOptions;
  /** By layer key. */
  readonly #layers = new Flights<Layer>();
  /** A conversion has its thread before bytes are set aside for it: one that waits for a thread holds none. */
  readonly #slots: Slots;

  constructor(options: LayerMakerOptions) {
    this.#options = options;
    this.#slots = new Slots(options.workers);
  }

  /**
   * Makes a layer, or joins whoever makes it already.
   *
   * @throws ConversionFailure, blobBudgetExhausted, diskFailed, and the errors of the resolver
   */
  async make(plan: LayerPlan): Promise<Layer> {
    return this.#layers.run(plan.image.layerKey, async () =>
      this.#slots.run(async () => {
        const started = performance.now();
        const tell = (outcome: "ok" | "error", bytes: number): void => {
          const seconds = (performance.now() - started) / 1000;
          this.#options.observer.conversion({ kind: plan.kind, outcome, seconds, bytes });
        };
        try {
          const layer =
            plan.source === undefined ? await this.#makeBase() : await this.#convert(plan, plan.source);
          tell("ok", layer.size);
          const { repository, tag } = plan.image;
          this.#options.log.debug({ repository, tag, ...layer }, "a layer was made");
          return layer;
        } catch (error) {
          tell("error", 0);
          throw error;
        }
      }),
    );
  }

  /** Waits until a layer can be made without anybody else having to wait for it. */
  async whenFree(): Promise<void> {
    return this.#slots.whenFree();
  }

  async #makeBase(): Promise<Layer> {
    const { store, signal } = this.#options;
    const bytes = baseLayer();
    const layer = { digest: sha256Digest(bytes), size: bytes.length };
    const reservation = await store.budget.reserve(bytes.length, signal);
    try {
      await store.publish(await store.writeTemporary(bytes), layer, reservation);
      return layer;
    } finally {
      reservation.release();
    }
  }

  async #convert(plan: LayerPlan, source: string): Promise<Layer> {
    const { store, pool, signal } = this.#options;
    const parts = await layerParts(this.#options.resolver, source, plan.paths, signal);
    const reservation = await store.budget.reserve(this.#bytesAtFirst(plan), signal);
    const file = store.temporaryFile();
    try {
      const layer = await pool.run(file, parts, reservation);
      await store.publish(file, layer, reservation);
      return layer;
    } finally {
      // What was published is neither there any more nor set aside.
      await store.removeTemporary(file);
      reservation.release();
    }
  }

  #bytesAtFirst({ paths }: LayerPlan): number {
    const bytes = paths.reduce((total, { info }) => total + info.narSize, 0);
    const likely = Math.ceil(bytes * margin.factor) + margin.bytes + paths.length * margin.bytesForEachPath;
    // The margin alone is no reason to refuse it.
    return Math.max(bytes, Math.min(likely, this.#options.store.budget.maxBytes));
  }
}
