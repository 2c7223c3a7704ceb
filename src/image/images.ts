import type { Readable } from "node:stream";

import type { Digest } from "../oci/digest.ts";
import type { Document } from "../oci/documents.ts";
import type { Resolver } from "../resolver/resolver.ts";
import { BlobStore } from "./blob-store.ts";
import { ConversionPool } from "./conversions.ts";
import { ImageServer } from "./image-server.ts";
import {
  type ImagesLog,
  type ImagesObserver,
  silentImagesLog,
  silentImagesObserver,
} from "./images-observer.ts";
import { findPrograms, type Programs } from "../compression/programs.ts";

export { type ImagesLog, type ImagesObserver, silentImagesObserver } from "./images-observer.ts";
export type { Programs } from "../compression/programs.ts";

/** What the registry serves: images, made when they are asked for. */
export interface Images {
  /**
   * The index a tag answers with. Converts what is missing; two calls for one image share one conversion. A signal
   * ends a caller's waiting, not the conversion.
   *
   * @throws imageNameInvalid, closureCheckMismatch, conversionSlow, blobBudgetExhausted, diskFailed, the errors of the
   * resolver and of the conversion, the signal's reason
   */
  resolveTag(repository: string, tag: string, signal?: AbortSignal): Promise<Document>;
  /** A manifest or index that a tag of this repository answered with before; undefined = not known. */
  document(repository: string, digest: Digest): Promise<Document | undefined>;
  /** Config or layer bytes. undefined = not here. */
  blob(repository: string, digest: Digest): Promise<OpenBlob | undefined>;
  /** Tags that may be listed; undefined = no such repository. */
  tags(repository: string): Promise<readonly string[] | undefined>;
}

/** A blob that stays on the disk until it is closed. */
export interface OpenBlob {
  /** Bytes. */
  readonly size: number;
  readonly mediaType?: string;
  /** The bytes from `start` to `end`, both included; all of them without a range. */
  read(range?: { readonly start: number; readonly end: number }): Readable;
  close(): Promise<void>;
}

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
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

const defaultWorkers = 2;
const defaultPatience = 240;

/**
 * Opens the blob store, and repairs it if need be.
 *
 * @throws blobStoreInUse, diskFailed
 */
export async function createImages(options: ImagesOptions): Promise<Images & { close(): Promise<void> }> {
  const { resolver, directory, maxBytes, now = Date.now } = options;
  const { workers = defaultWorkers, patience = defaultPatience } = options;
  const { observer = silentImagesObserver, log = silentImagesLog } = options;
  const programs = options.programs ?? (await findPrograms(process.env["PATH"]));
  const store = await BlobStore.open({ directory, maxBytes, observer, log, now });
  return new ImageServer({
    resolver,
    store,
    pool: new ConversionPool({ workers, programs }),
    workers,
    observer,
    log,
    patience,
  });
}
