import { createReadStream } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";

import type { LayerConverter, PlannedLayer } from "../image/layer-converter.ts";
import { Slots } from "../resolver/slots.ts";
import type { Blobs } from "./blobs.ts";
import type { KnownLayer, LayerMemo } from "./layer-memo.ts";
import { toScratchError } from "./scratch.ts";
import type { SharedNars } from "./shared-nars.ts";
import type { Room, SpoolBudget } from "./spool-budget.ts";
import type { LayerProgress, Tally } from "./tally.ts";

export interface LayersOptions {
  readonly blobs: Blobs;
  readonly memo: LayerMemo;
  readonly converter: LayerConverter;
  /** Conversions at a time. */
  readonly workers: number;
  readonly spool: SpoolBudget;
  readonly nars: SharedNars;
  /** Where layers lie from their making until they are sent. */
  readonly directory: string;
  readonly tally: Tally;
  /** Sends nothing. */
  readonly dryRun: boolean;
  /** Makes all layers anew, whatever is known of them. */
  readonly force: boolean;
  readonly signal: AbortSignal;
}

/**
 * Bytes that are read at a time. Larger chunks are no faster, and V8 collects by the number of objects more than by the size
 * of what they hold: there would be tens of megabytes of chunks that are sent.
 */
const chunkSize = 64 * 1024;

/** Gets layers into a repository, each once: those that it has need not be made where it is known what they are. */
export class Layers {
  readonly #options: LayersOptions;
  /** By key. */
  readonly #layers = new Map<string, Promise<KnownLayer>>();
  readonly #progress = new Map<string, LayerProgress>();
  readonly #conversions: Slots;
  #files = 0;

  constructor(options: LayersOptions) {
    this.#options = options;
    this.#conversions = new Slots(options.workers);
  }

  /** Counts layers that are to be ensured, so that the whole is known before the first one is done. */
  expect(planned: readonly PlannedLayer[]): void {
    for (const layer of planned) {
      const { key, narSize } = layer;
      if (this.#progress.has(key)) continue;
      this.#progress.set(key, this.#options.tally.layer(narSize));
      this.#options.nars.expect(layer);
    }
  }

  /**
   * Sees to it that the repository has a layer.
   *
   * @throws ConversionFailure's error, scratchFailed, and the errors of resolver and registry
   */
  async ensure(planned: PlannedLayer): Promise<KnownLayer> {
    let layer = this.#layers.get(planned.key);
    if (layer === undefined) {
      this.expect([planned]);
      layer = this.#ensureOnce(planned, this.#progress.get(planned.key) as LayerProgress);
      this.#layers.set(planned.key, layer);
    }
    return layer;
  }

  /** Waits until nothing is under way any more. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#layers.values());
  }

  async #ensureOnce(planned: PlannedLayer, progress: LayerProgress): Promise<KnownLayer> {
    try {
      return await this.#ensure(planned, progress);
    } finally {
      await this.#options.nars.done(planned);
    }
  }

  async #ensure(planned: PlannedLayer, progress: LayerProgress): Promise<KnownLayer> {
    const { blobs, memo, dryRun, force, signal } = this.#options;
    signal.throwIfAborted();
    const known = force ? undefined : await memo.find(planned.key);
    if (known !== undefined) {
      const isThere = await blobs.find(known, known.places);
      if (isThere && !dryRun) await memo.addPlace(planned.key, blobs.place);
      if (!isThere && dryRun) await blobs.send({ ...known, read: unread });
      if (isThere || dryRun) {
        progress.finish();
        return known;
      }
    }
    const layer = await this.#make(planned, progress);
    if (!dryRun) await memo.addPlace(planned.key, blobs.place);
    progress.finish();
    return layer;
  }

  async #make(planned: PlannedLayer, progress: LayerProgress): Promise<KnownLayer> {
    const { memo, spool, nars, directory, signal, converter } = this.#options;
    const file = join(directory, `layer-${this.#files++}`);
    const share = await nars.share(planned);
    let room: Room | undefined;
    try {
      let layer: KnownLayer;
      try {
        // Who waits for a thread holds no room.
        layer = await this.#conversions.run(async () => {
          room = await spool.take(planned.narSize, signal);
          const onProgress = (bytes: number): void => progress.converted(bytes);
          return converter.make(planned, file, { signal, onProgress, place: share.place });
        });
      } finally {
        await share.end();
      }
      room?.resize(layer.size);
      await memo.remember(planned.key, layer);
      await this.#send(layer, file, progress);
      return layer;
    } catch (error) {
      throw toScratchError(directory, error);
    } finally {
      await rm(file, { force: true }).catch(() => undefined);
      room?.release();
    }
  }

  async #send({ digest, size }: KnownLayer, file: string, progress: LayerProgress): Promise<void> {
    const { blobs } = this.#options;
    if (await blobs.find({ digest, size })) return;
    const read = (start: number) => createReadStream(file, { start, highWaterMark: chunkSize });
    await blobs.send({ digest, size, read }, (bytes) => progress.sent(bytes, size));
  }
}

function unread(): never {
  throw new Error("a blob was to be read in a dry run");
}
