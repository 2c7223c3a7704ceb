import { randomUUID } from "node:crypto";
import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  unlink,
  utimes,
} from "node:fs/promises";
import { join } from "node:path";

import { type Digest, digestHex, parseDigest } from "../oci/digest.ts";
import { diskError, hasCode } from "./disk-error.ts";
import { decodeRecord, encodeRecord, type ImageRecord, recordId } from "./image-record.ts";

/** A record as the disk has it. */
export interface StoredRecord {
  readonly record: ImageRecord;
  /** When its image was used last, in milliseconds since the epoch. */
  readonly lastUse: number;
}

/** A blob as the disk has it. */
export interface StoredBlob {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/**
 * The files of a blob store: `blobs/sha256/<hex>`, `images/<id>.json` (a record each, whose modification time is the
 * image's last use), and `temporary/`. What is in the first two got there by a rename of what the disk had in full, so
 * that an end at any point leaves nothing wrong.
 *
 * All methods throw diskFailed.
 */
export class StoreDirectory {
  readonly #blobs: string;
  readonly #images: string;
  readonly #temporary: string;

  private constructor(directory: string) {
    this.#blobs = join(directory, "blobs", "sha256");
    this.#images = join(directory, "images");
    this.#temporary = join(directory, "temporary");
  }

  /** Makes the directory and those in it. */
  static async make(directory: string): Promise<StoreDirectory> {
    const made = new StoreDirectory(directory);
    await attempt(`make ${directory}`, async () => {
      for (const path of [made.#blobs, made.#images, made.#temporary]) await mkdir(path, { recursive: true });
    });
    return made;
  }

  /** Where a file can be written before it is published; there is none of this name. */
  temporaryFile(): string {
    return join(this.#temporary, randomUUID());
  }

  /** Makes a temporary file with these bytes and times, which the disk has when it returns. */
  async writeTemporary(bytes: Uint8Array, time = new Date()): Promise<string> {
    const file = this.temporaryFile();
    try {
      await attempt("write a file", async () => {
        await using handle = await open(file, "wx");
        await handle.writeFile(bytes);
        await handle.utimes(time, time);
        await handle.sync();
      });
    } catch (error) {
      await this.removeTemporary(file);
      throw error;
    }
    return file;
  }

  /** Removes a temporary file if it is there. One that cannot be removed stays until the next start. */
  async removeTemporary(file: string): Promise<void> {
    await unlink(file).catch(() => undefined);
  }

  /** Removes all temporary files: what was being written when an earlier process ended. */
  async clearTemporary(): Promise<void> {
    await attempt("remove temporary files", async () => {
      for (const name of await readdir(this.#temporary)) {
        await rm(join(this.#temporary, name), { recursive: true, force: true });
      }
    });
  }

  /** Makes a temporary file the blob of a digest. */
  async publishBlob(temporary: string, digest: Digest): Promise<void> {
    await attempt("publish a blob", () => replaceFile(temporary, this.#blobFile(digest), this.#blobs));
  }

  /** Opens a blob; undefined if it is not there. */
  async openBlob(digest: Digest): Promise<FileHandle | undefined> {
    return attempt("open a blob", () => open(this.#blobFile(digest)), "ENOENT");
  }

  /** Removes a blob if it is there. */
  async removeBlob(digest: Digest): Promise<void> {
    await attempt("remove a blob", () => unlink(this.#blobFile(digest)), "ENOENT");
  }

  /** All blobs; other files among them are none of ours, and stay. */
  async listBlobs(): Promise<readonly StoredBlob[]> {
    return attempt("list the blobs", async () => {
      const blobs: StoredBlob[] = [];
      for (const name of await readdir(this.#blobs)) {
        if (!/^[0-9a-f]{64}$/.test(name)) continue;
        const { size } = await stat(join(this.#blobs, name));
        blobs.push({ digest: parseDigest(`sha256:${name}`), size });
      }
      return blobs;
    });
  }

  /** Writes a record, in place of the one of its image. */
  async writeRecord(record: ImageRecord, lastUse: Date): Promise<void> {
    const temporary = await this.writeTemporary(encodeRecord(record), lastUse);
    try {
      await attempt("write a record", () => replaceFile(temporary, this.#recordFile(record), this.#images));
    } catch (error) {
      await this.removeTemporary(temporary);
      throw error;
    }
  }

  /** Removes a record if it is there. */
  async removeRecord(record: ImageRecord): Promise<void> {
    await attempt("remove a record", () => unlink(this.#recordFile(record)), "ENOENT");
  }

  /** Notes a use of an image. */
  async touchRecord(record: ImageRecord, lastUse: Date): Promise<void> {
    await attempt("note a use", () => utimes(this.#recordFile(record), lastUse, lastUse), "ENOENT");
  }

  /** All records that can be read; the files of the others are removed, and counted. */
  async loadRecords(): Promise<{ readonly stored: readonly StoredRecord[]; readonly unreadable: number }> {
    return attempt("read the records", async () => {
      const names = await readdir(this.#images);
      const stored: StoredRecord[] = [];
      for (const name of names) {
        const file = join(this.#images, name);
        const record = decodeRecord(await readFile(file));
        if (record === undefined || `${recordId(record)}.json` !== name) await unlink(file);
        else stored.push({ record, lastUse: (await stat(file)).mtimeMs });
      }
      return { stored, unreadable: names.length - stored.length };
    });
  }

  #blobFile(digest: Digest): string {
    return join(this.#blobs, digestHex(digest));
  }

  #recordFile(record: ImageRecord): string {
    return join(this.#images, `${recordId(record)}.json`);
  }
}

async function replaceFile(from: string, to: string, directory: string): Promise<void> {
  await rename(from, to);
  // The name is on the disk only when the directory is.
  await using handle = await open(directory);
  await handle.sync();
}

async function attempt<T>(what: string, work: () => Promise<T>): Promise<T>;
async function attempt<T>(what: string, work: () => Promise<T>, ignored: string): Promise<T | undefined>;
async function attempt<T>(what: string, work: () => Promise<T>, ignored?: string): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (ignored !== undefined && hasCode(error, ignored)) return undefined;
    throw diskError(what, error);
  }
}
