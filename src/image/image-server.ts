import { Readable } from "node:stream";

import {
  blobBudgetExhausted,
  conversionSlow,
  formatBytes,
  imageNameInvalid,
  NixClosureError,
  shuttingDown,
} from "../errors.ts";
import type { Digest } from "../oci/digest.ts";
import { type Document, mediaTypes } from "../oci/documents.ts";
import {
  conversionVersion,
  formatImageName,
  type ImageName,
  parseImageName,
  parseRepository,
} from "../plan/image-name.ts";
import { unlessAborted } from "../resolver/flights.ts";
import type { Resolver } from "../resolver/resolver.ts";
import type { BlobStore } from "./blob-store.ts";
import { ConversionFailure, type ConversionPool } from "./conversions.ts";
import { imageDocuments } from "./image-documents.ts";
import { ImageQueue } from "./image-queue.ts";
import type { Images, OpenBlob } from "./images.ts";
import type { ImagesLog, ImagesObserver } from "./images-observer.ts";
import { LayerMaker } from "./layer-maker.ts";
import { planImage } from "./layer-plan.ts";
import { mountPointsTar } from "./mount-points.ts";
import { imagesBesideStoreImage, imagesOfRoot } from "./plan-images.ts";
import { ReadAhead, type ReadAheadWork } from "./read-ahead.ts";

export interface ImageServerOptions {
  readonly resolver: Resolver;
  readonly store: BlobStore;
  readonly pool: ConversionPool;
  /** Conversions at a time. */
  readonly workers: number;
  readonly observer: ImagesObserver;
  readonly log: ImagesLog;
  /** Seconds that a tag is waited for. */
  readonly patience: number;
  /** Requests for tags that wait at a time, and images in the making. */
  readonly maxWaiting: number;
  /** Whether the first request for an image of a plan has all of its images made. */
  readonly readAhead: boolean;
  /** Milliseconds from any start. */
  readonly now: () => number;
}

/** Layers can be gone again before their record is written, in a store that is too small for what is asked of it. */
const maxAttempts = 3;

/** How much of the blob store what is read ahead may have: the other half is for what was asked for. */
const shareReadAhead = 0.5;

/** What a tag answers with, and the layers that are asked for next. */
interface MadeImage {
  readonly index: Document;
  readonly layers: readonly Digest[];
}

/** Makes images from store paths, and serves them from its store. */
export class ImageServer implements Images {
  readonly #resolver: Resolver;
  readonly #store: BlobStore;
  readonly #pool: ConversionPool;
  readonly #patience: number;
  readonly #maker: LayerMaker;
  readonly #queue: ImageQueue<MadeImage>;
  readonly #readAhead: ReadAhead | undefined;
  readonly #running = new Set<Promise<unknown>>();
  readonly #closing = new AbortController();

  constructor(options: ImageServerOptions) {
    this.#resolver = options.resolver;
    this.#store = options.store;
    this.#pool = options.pool;
    this.#patience = options.patience;
    this.#queue = new ImageQueue(options.maxWaiting, (waiting) => options.observer.waiting(waiting));
    const { signal } = this.#closing;
    this.#maker = new LayerMaker({ ...options, signal });
    if (options.readAhead) {
      this.#readAhead = new ReadAhead({
        ...options,
        limit: options.workers,
        work: this.#workAhead(),
        signal,
      });
    }
  }

  async resolveTag(repository: string, tag: string, signal?: AbortSignal): Promise<Document> {
    this.#closing.signal.throwIfAborted();
    const name = parseImageName(repository, tag);
    const image = `${repository}:${tag}`;
    this.#refusePushed(name, image);
    const answered = this.#readAhead?.asked(name);
    try {
      const { index, layers } = await this.#queue.run(
        image,
        () => this.#track(this.#make(name)),
        (work) => {
          const limit = AbortSignal.timeout(this.#patience * 1000);
          const answer = unlessAborted(work, limit, () => conversionSlow(image, this.#patience));
          return unlessAborted(answer, signal, () => toError(signal?.reason));
        },
      );
      for (const layer of layers) this.#store.lease(layer);
      return index;
    } finally {
      answered?.();
    }
  }

  async document(repository: string, digest: Digest): Promise<Document | undefined> {
    if (!this.#serves(repository)) return undefined;
    const { catalog } = this.#store;
    return catalog.document(repository, digest, "index") ?? catalog.document(repository, digest, "manifest");
  }

  async blob(repository: string, digest: Digest): Promise<OpenBlob | undefined> {
    if (!this.#serves(repository)) return undefined;
    const { catalog } = this.#store;
    const config = catalog.document(repository, digest, "config");
    if (config !== undefined) return openBytes(config);
    const mountPoints = catalog.mountPoints(repository, digest);
    if (mountPoints !== undefined)
      return openBytes({ bytes: mountPointsTar(mountPoints.names), mediaType: mediaTypes.layerTar });
    const image = catalog.imageWithLayer(repository, digest);
    if (image === undefined) return undefined;
    await this.#store.touch(image);
    return this.#store.open(digest, mediaTypes.layerTar);
  }

  async tags(repository: string): Promise<readonly string[] | undefined> {
    const name = parseRepository(repository);
    if (name === undefined || !this.#serves(repository)) return undefined;
    if (name.kind === "store") return this.#store.catalog.tags(repository);
    try {
      if (name.kind === "path") await this.#resolver.lookup(name.source, name.hash, this.#closing.signal);
    } catch (error) {
      if (error instanceof NixClosureError && error.code === "PATH_UNKNOWN") return undefined;
      throw error;
    }
    return [String(conversionVersion)];
  }

  /** Ends what is under way; what is written is kept. */
  async close(): Promise<void> {
    this.#closing.abort(shuttingDown());
    await this.#pool.close();
    await Promise.allSettled(this.#running);
    await this.#maker.whenIdle();
    await this.#store.close();
  }

  /** A source that is no longer configured is not served, whatever the store has of it. */
  #serves(repository: string): boolean {
    const name = parseRepository(repository);
    if (name === undefined || name.kind === "base") return name !== undefined;
    const resolver = this.#resolver;
    return resolver.sources.includes(name.source) && resolver.repositoryOf(name.source) === undefined;
  }

  /** There are no NARs to make images of, and nobody needs them: references to what was pushed lead to where it is. */
  #refusePushed(name: ImageName, image: string): void {
    const pushed = name.kind === "base" ? undefined : this.#resolver.repositoryOf(name.source);
    if (pushed === undefined) return;
    throw imageNameInvalid(image, `the images of its source are in ${pushed}`);
  }

  /** Makes an image; a second time if a cache has lost a NAR, for what is asked of it now may lead elsewhere. */
  async #make(name: ImageName): Promise<MadeImage> {
    try {
      return await this.#makeOnce(name);
    } catch (error) {
      if (!this.#forgetMissing(name, error)) throw unwrap(error);
    }
    try {
      return await this.#makeOnce(name);
    } catch (error) {
      this.#forgetMissing(name, error);
      throw unwrap(error);
    }
  }

  #forgetMissing(name: ImageName, error: unknown): boolean {
    if (name.kind === "base" || !(error instanceof ConversionFailure)) return false;
    for (const path of error.missing) this.#resolver.forget(name.source, path);
    return error.missing.length > 0;
  }

  async #makeOnce(name: ImageName): Promise<MadeImage> {
    const store = this.#store;
    const plan = await planImage(this.#resolver, name, this.#closing.signal);
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const made = await this.#maker.makeMissing(plan);
      const layers = plan.layers.flatMap(({ key }) => store.useLayer(key) ?? []);
      const digests = layers.map(({ digest }) => digest);
      const hold = await store.hold(digests);
      for (const digest of made) store.endLease(digest);
      if (hold === undefined) continue;
      try {
        const record = { ...plan.image, layers };
        if (layers.length === plan.layers.length && (await store.useRecord(record)))
          return { index: imageDocuments(record).index, layers: digests };
      } finally {
        // All who wait have their leases by then.
        setImmediate(() => hold.release());
      }
    }
    const bytes = plan.layers.reduce(
      (total, { paths }) => paths.reduce((sum, { info }) => sum + info.narSize, total),
      0,
    );
    throw blobBudgetExhausted(formatBytes(bytes), formatBytes(store.budget.maxBytes));
  }

  #workAhead(): ReadAheadWork {
    const { signal } = this.#closing;
    const { catalog, budget } = this.#store;
    return {
      find: (first) =>
        first.kind === "store"
          ? imagesBesideStoreImage(this.#resolver, first, signal)
          : imagesOfRoot(this.#resolver, first, signal),
      whenFree: () => this.#maker.whenFree(),
      make: (name) => {
        const { repository, tag } = formatImageName(name);
        return this.#queue.ahead(`${repository}:${tag}`, () => this.#track(this.#make(name)));
      },
      use: (name) => {
        const { repository, tag } = formatImageName(name);
        const record = catalog.get(repository, tag);
        if (record !== undefined) void this.#store.touch(record);
        return record !== undefined;
      },
      hasStoreImage: (root) => catalog.hasStoreImage(root),
      room: () => budget.maxBytes * shareReadAhead - this.#store.bytesInUse,
    };
  }

  /** Remembers work until it has ended. */
  async #track<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work);
    try {
      return await work;
    } finally {
      this.#running.delete(work);
    }
  }
}

function openBytes({ bytes, mediaType }: Pick<Document, "bytes" | "mediaType">): OpenBlob {
  return {
    size: bytes.length,
    mediaType,
    read: ({ start, end } = { start: 0, end: bytes.length - 1 }) =>
      Readable.from([Buffer.from(bytes.subarray(start, end + 1))], { objectMode: false }),
    close: async () => undefined,
  };
}

function unwrap(error: unknown): unknown {
  return error instanceof ConversionFailure ? error.error : error;
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
