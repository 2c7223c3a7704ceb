import { findPrograms, type Programs } from "../compression/programs.ts";
import type { NarLimits } from "../resolver/open-nar.ts";
import type { Resolver } from "../resolver/resolver.ts";
import { BlobStore } from "./blob-store.ts";
import { ConversionPool } from "./conversions.ts";
import { ImageServer } from "./image-server.ts";
import type { Images } from "./images.ts";
import {
  type ImagesLog,
  type ImagesObserver,
  silentImagesLog,
  silentImagesObserver,
} from "./images-observer.ts";

export interface ImagesOptions {
  readonly resolver: Resolver;
  /** Where blobs are kept; no other process may use it. */
  readonly directory: string;
  /** Bytes of all blobs together, those being made included. */
  readonly maxBytes: number;
  /** Conversions at a time, a thread each. */
  readonly workers?: number;
  /** Decompression programs; those on the PATH where it is left out, the built-in decoders where one is missing. */
  readonly programs?: Programs;
  readonly observer?: ImagesObserver;
  readonly log?: ImagesLog;
  /** How long a tag is waited for, in seconds: less than the 5 minutes after which containerd gives up on a pull. */
  readonly patience?: number;
  /** Requests for tags that may wait at a time. */
  readonly maxWaiting?: number;
  /** Whether the first request for an image of a plan has all of its images made; left out: yes. */
  readonly readAhead?: boolean;
  /** Other time limits for NARs than the usual ones, for tests. */
  readonly narLimits?: NarLimits | undefined;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

const defaultWorkers = 2;
const defaultPatience = 240;
/** What a kubelet asks for in that time with its default of 5 pulls a second, less some; some 20 MiB of connections. */
const defaultMaxWaiting = 1000;

/**
 * Opens the blob store, and repairs it if need be.
 *
 * @throws blobStoreInUse, diskFailed
 */
export async function createImages(options: ImagesOptions): Promise<Images & { close(): Promise<void> }> {
  const { resolver, directory, maxBytes, narLimits, now = Date.now } = options;
  const { workers = defaultWorkers, patience = defaultPatience, maxWaiting = defaultMaxWaiting } = options;
  const { readAhead = true } = options;
  const { observer = silentImagesObserver, log = silentImagesLog } = options;
  const programs = options.programs ?? (await findPrograms(process.env["PATH"]));
  const store = await BlobStore.open({ directory, maxBytes, observer, log, now });
  return new ImageServer({
    resolver,
    store,
    pool: new ConversionPool({ workers, programs, narLimits }),
    workers,
    observer,
    log,
    patience,
    maxWaiting,
    readAhead,
    now,
  });
}
