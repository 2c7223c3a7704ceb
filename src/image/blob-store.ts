import type { FileHandle } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";

import type { Digest } from "../oci/digest.ts";
import { BlobBudget, type Eviction, type Reservation } from "./blob-budget.ts";
import { type DirectoryLock, lockDirectory } from "./directory-lock.ts";
import { ImageCatalog } from "./image-catalog.ts";
import type { ImageLayer, ImageRecord } from "./image-record.ts";
import type { OpenBlob } from "./images.ts";
import type { ImagesLog, ImagesObserver } from "./images-observer.ts";
import { KnownBlobs } from "./known-blobs.ts";
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

/** Blobs that are not evicted until they are released. */
export interface Hold {
  release(): void;
}

/** A layer that was made, and the temporary file with its bytes, which the disk has in full. */
export interface MadeLayer extends ImageLayer {
  readonly temporary: string;
}

/** How long (milliseconds) a client may take from the answer to its tag to a layer; containerd asks at once. */
const leaseTime = 10_000;

/** Layers on the disk, and the records of the images that are made of them. */
export class BlobStore {
  /** The records. Each has its blobs. */
  readonly catalog = new ImageCatalog();
  readonly budget: BlobBudget;
  readonly #files: StoreDirectory;
  readonly #lock: DirectoryLock;
  readonly #options: BlobStoreOptions;
  readonly #blobs = new KnownBlobs();
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
    for (const blob of this.#blobs) if (this.#isInUse(blob)) bytes += blob.size;
    return bytes;
  }

  /** Where a layer can be written before it is published. */
  temporaryFile(): string {
    return this.#files.temporaryFile();
  }

  writeTemporary(file: string, bytes: Uint8Array): Promise<void> {
    return this.#files.writeTemporary(file, bytes);
  }

  removeTemporary(file: string): Promise<void> {
    return this.#files.removeTemporary(file);
  }

  /**
   * Makes the layers of an image blobs, all of them or none; the reservation ends. Who made them has leases, or they could
   * be gone again before their record is written.
   *
   * @throws diskFailed
   */
  async publish(made: readonly MadeLayer[], reservation: Reservation): Promise<void> {
    await this.#exclusively(async () => {
      const published: StoredBlob[] = [];
      try {
        for (const { temporary, digest, size } of made) {
          if (this.#blobs.get(digest) !== undefined) {
            await this.#files.removeTemporary(temporary);
            continue;
          }
          const blob = new StoredBlob({ digest, size });
          published.push(blob);
          await this.#files.publishBlob(temporary, digest);
          await using file = await this.#files.openBlob(digest);
          if (file !== undefined) await blob.trust(file);
        }
      } catch (error) {
        // Nobody knows of them, so nobody would count them, or remove them.
        for (const { digest } of published) await this.#files.removeBlob(digest).catch(() => undefined);
        throw error;
      }
      for (const blob of published) this.#blobs.use(blob);
      for (const layer of made) {
        this.#blobs.noteKey(layer);
        this.lease(layer.digest);
      }
      const bytes = published.reduce((total, { size }) => total + size, 0);
      reservation.settle(bytes);
      this.#count(bytes);
    });
  }

  /** The layer with a key that is there; it then counts as used. */
  useLayer(key: string): ImageLayer | undefined {
    const blob = this.#blobs.withKey(key);
    if (blob === undefined) return undefined;
    this.#blobs.use(blob);
    return { key, digest: blob.digest, size: blob.size };
  }

  /** Keeps blobs from being evicted; undefined if one of them is not there, or damaged. */
  async hold(digests: readonly Digest[]): Promise<Hold | undefined> {
    const held: StoredBlob[] = [];
    const release = (): void => held.forEach((blob) => this.#release(blob));
    try {
      for (const digest of digests) {
        const opened = await this.#open(digest);
        if (opened === undefined) {
          release();
          return undefined;
        }
        held.push(opened.blob);
        await opened.file.close();
      }
    } catch (error) {
      release();
      throw error;
    }
    return { release };
  }

  /**
   * Notes that an image is used, and keeps its record; false if one of its blobs is not there any more.
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
      const blobs = this.#blobs.of(record);
      if (blobs.length < record.layers.length) return false;
      try {
        await this.#files.writeRecord(record, this.#useClock.next());
      } catch (error) {
        // Without any record they would only take up room.
        for (const blob of blobs)
          if (this.catalog.withLayer(blob.digest).length === 0)
            await this.#remove(blob).catch(() => undefined);
        throw error;
      }
      for (const layer of record.layers) this.#blobs.noteKey(layer);
      this.catalog.put(record);
      return true;
    });
  }

  /** Notes that an image is used. A disk that refuses it is no error. */
  async touch(record: ImageRecord): Promise<void> {
    const blobs = this.#blobs.of(record);
    if (blobs.length === 0) return;
    for (const blob of blobs) this.#blobs.use(blob);
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
      for (const layer of record.layers) {
        // A blob of several images has the last use of the last of them.
        const blob = this.#blobs.get(layer.digest) ?? new StoredBlob(layer);
        this.#blobs.use(blob);
        this.#blobs.noteKey(layer);
      }
    }
    for (const { size } of this.#blobs) {
      this.budget.addBlob(size);
      this.#bytes += size;
    }
    await this.budget.trim();
    this.#count(0);
    const { directory, maxBytes, log } = this.#options;
    const size = { blobs: this.#blobs.size, bytes: this.#bytes };
    log.info({ directory, maxBytes, ...size, ...removed }, "the blob store is open");
  }

  /**
   * Whether a blob has to stay. As long as one layer of an image is in use, all are: a client that reads it comes for the
   * others, and without one of them none is served.
   */
  #isInUse({ users, digest }: StoredBlob): boolean {
    if (users > 0) return true;
    const records = this.catalog.withLayer(digest);
    return records.some((record) => this.#blobs.of(record).some((blob) => blob.users > 0));
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
    for (const blob of this.#blobs) {
      if (this.#isInUse(blob)) continue;
      await this.#remove(blob);
      this.#options.observer.eviction(blob.size);
      return "evicted";
    }
    return "in use";
  }

  async #remove(blob: StoredBlob): Promise<void> {
    const records = this.catalog.withLayer(blob.digest);
    // From here on nobody begins to read it.
    const putBack = this.#blobs.remove(blob);
    this.#leases.end(blob.digest);
    for (const record of records) this.catalog.drop(record);
    try {
      for (const record of records) await this.#files.removeRecord(record);
      await this.#files.removeBlob(blob.digest);
    } catch (error) {
      // It is still there, and counts; another one has the next turn.
      putBack();
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
