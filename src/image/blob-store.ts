import type { FileHandle } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";

import type { Digest } from "../oci/digest.ts";
import { BlobBudget, type Eviction, type Reservation } from "./blob-budget.ts";
import { type DirectoryLock, lockDirectory } from "./directory-lock.ts";
import { ImageCatalog } from "./image-catalog.ts";
import type { ImageRecord } from "./image-record.ts";
import type { OpenBlob } from "./images.ts";
import type { ImagesLog, ImagesObserver } from "./images-observer.ts";
import type { Layer } from "./layer-writer.ts";
import { Leases } from "./leases.ts";
import { openBlob } from "./open-blob.ts";
import { StoreDirectory } from "./store-directory.ts";
import { repairDirectory } from "./store-repair.ts";
import { StoredBlob } from "./stored-blob.ts";
import { UseClock } from "./use-clock.ts";

export interface BlobStoreOptions {
  readonly directory: string;
  /** Blobs and layers being made have no more bytes together; records are not counted. */
  readonly maxBytes: number;
  readonly observer: ImagesObserver;
  readonly log: ImagesLog;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** A blob that is not evicted until it is released. */
export interface Hold {
  release(): void;
}

/** How long (milliseconds) a client may take from the answer to its tag to the end of the layer; containerd asks at once. */
const leaseTime = 10_000;

/** Layers on the disk, and the records of the images that are made of them. */
export class BlobStore {
  /** The records. Each has its blob. */
  readonly catalog = new ImageCatalog();
  readonly budget: BlobBudget;
  readonly #files: StoreDirectory;
  readonly #lock: DirectoryLock;
  readonly #options: BlobStoreOptions;
  /** In the order of their last use. */
  readonly #blobs = new Map<Digest, StoredBlob>();
  #bytes = 0;
  readonly #useClock: UseClock;
  readonly #leases = new Leases<Digest>(leaseTime);
  #last: Promise<unknown> = Promise.resolve();

  private constructor(files: StoreDirectory, lock: DirectoryLock, options: BlobStoreOptions) {
    this.#files = files;
    this.#lock = lock;
    this.#options = options;
    this.#useClock = new UseClock(options.now);
    this.budget = new BlobBudget(options.maxBytes, () => this.#exclusively(() => this.#evictOldest()));
  }

  /**
   * Opens the store of a directory, repairs it, and removes the longest unused until the rest fits.
   *
   * @throws blobStoreInUse, diskFailed
   */
  static async open(options: BlobStoreOptions): Promise<BlobStore> {
    const files = await StoreDirectory.make(options.directory);
    const lock = await lockDirectory(options.directory);
    try {
      const store = new BlobStore(files, lock, options);
      await store.#load();
      return store;
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** Bytes that cannot be evicted now: blobs that clients read or were told of, and what is set aside. */
  get bytesInUse(): number {
    let bytes = this.budget.reservedBytes;
    for (const { users, size } of this.#blobs.values()) if (users > 0) bytes += size;
    return bytes;
  }

  /** Where a layer can be written before it is published. */
  temporaryFile(): string {
    return this.#files.temporaryFile();
  }

  writeTemporary(bytes: Uint8Array): Promise<string> {
    return this.#files.writeTemporary(bytes);
  }

  removeTemporary(file: string): Promise<void> {
    return this.#files.removeTemporary(file);
  }

  /**
   * Makes a temporary file, which the disk has in full, a blob; the reservation ends. Who made it has a lease, or it
   * could be gone again before its record is written.
   */
  async publish(temporary: string, layer: Layer, reservation: Reservation): Promise<void> {
    const { digest, size } = layer;
    await this.#exclusively(async () => {
      if (this.#blobs.has(digest)) {
        await this.#files.removeTemporary(temporary);
        this.lease(digest);
        reservation.release();
        return;
      }
      const blob = new StoredBlob(layer);
      try {
        await this.#files.publishBlob(temporary, digest);
        await using file = await this.#files.openBlob(digest);
        if (file !== undefined) await blob.trust(file);
      } catch (error) {
        // Nobody knows of it, so nobody would count it, or remove it.
        await this.#files.removeBlob(digest).catch(() => undefined);
        throw error;
      }
      this.#blobs.set(digest, blob);
      this.lease(digest);
      reservation.settle(size);
      this.#count(size);
    });
  }

  /** Keeps a blob from being evicted; undefined if it is not there, or damaged. */
  async hold(digest: Digest): Promise<Hold | undefined> {
    const opened = await this.#open(digest);
    if (opened === undefined) return undefined;
    await opened.file.close();
    return { release: () => this.#release(opened.blob) };
  }

  /**
   * Notes that an image is used, and keeps its record; false if its blob is not there any more.
   *
   * @throws diskFailed
   */
  async useRecord(record: ImageRecord): Promise<boolean> {
    const known = this.catalog.get(record.repository, record.tag);
    if (known !== undefined && isDeepStrictEqual(known, record)) {
      await this.touch(known);
      return true;
    }
    return this.#exclusively(async () => {
      const blob = this.#blobs.get(record.layer.digest);
      if (blob === undefined) return false;
      try {
        await this.#files.writeRecord(record, this.#useClock.next());
      } catch (error) {
        // Without any record nobody finds it, and it would only take up room.
        if (this.catalog.withLayer(blob.digest).length === 0) await this.#remove(blob).catch(() => undefined);
        throw error;
      }
      this.catalog.put(record);
      return true;
    });
  }

  /** Notes that an image is used. A disk that refuses it is no error. */
  async touch(record: ImageRecord): Promise<void> {
    const blob = this.#blobs.get(record.layer.digest);
    if (blob === undefined) return;
    this.#blobs.delete(blob.digest);
    this.#blobs.set(blob.digest, blob);
    // Only what is evicted first after a restart hangs on it: a disk that takes nothing more can still be read.
    await this.#files.touchRecord(record, this.#useClock.next()).catch((error: unknown) => {
      this.#options.log.debug({ err: error }, "a use was not noted");
    });
  }

  /** A client was told of a blob, which stays until the client has read it, but not for long. */
  lease(digest: Digest): void {
    const blob = this.#blobs.get(digest);
    if (blob === undefined) return;
    this.#leases.begin(digest, () => {
      blob.users++;
      return () => this.#release(blob);
    });
  }

  /** A client, or who made a blob, has no need of its lease any more. */
  endLease(digest: Digest): void {
    this.#leases.serve(digest);
  }

  /** Opens a layer; undefined if it is not there, or damaged. */
  async open(digest: Digest, mediaType: string): Promise<OpenBlob | undefined> {
    const opened = await this.#open(digest);
    if (opened === undefined) return undefined;
    const { blob, file } = opened;
    return openBlob(blob, file, mediaType, {
      damaged: () => void this.#discard(blob).catch(() => undefined),
      closed: (wasSent) => {
        if (wasSent) this.endLease(digest);
        this.#release(blob);
      },
    });
  }

  /** Ends; blobs that are open can be read on. */
  async close(): Promise<void> {
    this.#leases.endAll();
    await this.#last;
    await this.#lock.release();
  }

  async #load(): Promise<void> {
    const { records, lastUse, ...removed } = await repairDirectory(this.#files);
    this.#useClock.startAfter(lastUse);
    for (const record of records) {
      this.catalog.put(record);
      // A blob of several images has the last use of the last of them.
      this.#blobs.delete(record.layer.digest);
      this.#blobs.set(record.layer.digest, new StoredBlob(record.layer));
    }
    for (const { size } of this.#blobs.values()) {
      this.budget.addBlob(size);
      this.#bytes += size;
    }
    await this.budget.trim();
    this.#count(0);
    const { directory, maxBytes, log } = this.#options;
    const size = { blobs: this.#blobs.size, bytes: this.#bytes };
    log.info({ directory, maxBytes, ...size, ...removed }, "the blob store is open");
  }

  async #open(digest: Digest): Promise<{ readonly blob: StoredBlob; readonly file: FileHandle } | undefined> {
    const blob = this.#blobs.get(digest);
    if (blob === undefined) return undefined;
    blob.users++;
    let file: FileHandle | undefined;
    let isGood = false;
    try {
      file = await this.#files.openBlob(digest);
      isGood = file !== undefined && (await blob.isGood(file));
      if (file !== undefined && isGood) return { blob, file };
    } finally {
      if (!isGood) {
        this.#release(blob);
        await file?.close();
      }
    }
    await this.#discard(blob);
    return undefined;
  }

  #release(blob: StoredBlob): void {
    blob.users--;
    if (blob.users === 0) this.budget.retry();
  }

  /** Removes a blob whose file is missing, or has other bytes than it should. */
  async #discard(blob: StoredBlob): Promise<void> {
    await this.#exclusively(async () => {
      if (this.#blobs.get(blob.digest) !== blob) return;
      const { digest, size } = blob;
      this.#options.log.warn({ digest, size }, "a blob is damaged; it is made again when it is pulled");
      await this.#remove(blob);
    });
  }

  async #evictOldest(): Promise<Eviction> {
    if (this.#blobs.size === 0) return "empty";
    for (const blob of this.#blobs.values()) {
      if (blob.users > 0) continue;
      await this.#remove(blob);
      this.#options.observer.eviction(blob.size);
      return "evicted";
    }
    return "in use";
  }

  async #remove(blob: StoredBlob): Promise<void> {
    const records = this.catalog.withLayer(blob.digest);
    // From here on nobody begins to read it.
    this.#blobs.delete(blob.digest);
    this.#leases.end(blob.digest);
    for (const record of records) this.catalog.drop(record);
    try {
      for (const record of records) await this.#files.removeRecord(record);
      await this.#files.removeBlob(blob.digest);
    } catch (error) {
      // It is still there, and counts; another one has the next turn.
      this.#blobs.set(blob.digest, blob);
      for (const record of records) this.catalog.put(record);
      throw error;
    }
    this.budget.removeBlob(blob.size);
    this.#count(-blob.size);
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#options.observer.blobStore({ bytes: this.#bytes, blobs: this.#blobs.size });
  }

  /** One after the other: what looks at the files and then changes them. */
  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
