import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, lstat, lutimes, mkdir, open, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";

import { diskFailed } from "../errors.ts";
import { type Digest, digestHex, parseDigest } from "../oci/digest.ts";
import { diskError, hasCode } from "./disk-error.ts";
import { decodeRecord, encodeRecord, type ImageRecord, recordId } from "./image-record.ts";
import { removeEntry, replaceEntry } from "./store-entry.ts";

/** A record as the disk has it. */
export interface StoredRecord {
  readonly record: ImageRecord;
  /** When its image was used last, in milliseconds since the epoch. */
  readonly lastUse: number;
}

/** What the disk has under a blob's name. */
export interface ListedBlob {
  readonly digest: Digest;
  /** Bytes; undefined for what is no file. */
  readonly size: number | undefined;
}

/** A record has some hundred bytes, and some fifty for each mount point; whatever is larger is none, and is not read. */
const maxRecordBytes = 1024 * 1024;
/** A blob's file as it is: what a link leads to is not ours, and a pipe would be waited for without end. */
const readBlob = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

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

  /** Makes the directory and those in it, none of which may be a link: what is removed here would be removed there. */
  static async make(directory: string): Promise<StoreDirectory> {
    const made = new StoreDirectory(directory);
    await attempt(`make ${directory}`, async () => {
      for (const path of [join(directory, "blobs"), made.#blobs, made.#images, made.#temporary]) {
        await mkdir(path, { recursive: true });
        if (!(await lstat(path)).isDirectory()) throw diskFailed(`use ${path}`, "it is a symbolic link");
      }
    });
    return made;
  }

  /** Where a file can be written before it is published; there is none of this name. */
  temporaryFile(): string {
    return join(this.#temporary, randomUUID());
  }

  /** Makes a temporary file with these bytes and times, which the disk has when it returns. */
  async writeTemporary(file: string, bytes: Uint8Array, time = new Date()): Promise<void> {
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
  }

  /** Removes a temporary file if it is there. One that cannot be removed stays until the next start. */
  async removeTemporary(file: string): Promise<void> {
    await removeEntry(file).catch(() => undefined);
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
    await attempt("publish a blob", () => replaceEntry(temporary, this.#blobFile(digest), this.#blobs));
  }

  /** Opens what has a blob's name; undefined if it is not there, a link, or a socket. */
  async openBlob(digest: Digest): Promise<FileHandle | undefined> {
    return attempt("open a blob", () => open(this.#blobFile(digest), readBlob), ["ENOENT", "ELOOP", "ENXIO"]);
  }

  /** Removes what has a blob's name, if it is there. */
  async removeBlob(digest: Digest): Promise<void> {
    await attempt("remove a blob", () => removeEntry(this.#blobFile(digest)));
  }

  /** All that has the name of a blob; other files among them are none of ours, and stay. */
  async listBlobs(): Promise<readonly ListedBlob[]> {
    return attempt("list the blobs", async () => {
      const blobs: ListedBlob[] = [];
      for (const name of await readdir(this.#blobs)) {
        if (!/^[0-9a-f]{64}$/.test(name)) continue;
        const stats = await lstat(join(this.#blobs, name));
        blobs.push({ digest: parseDigest(`sha256:${name}`), size: stats.isFile() ? stats.size : undefined });
      }
      return blobs;
    });
  }

  /** Writes a record, in place of the one of its image. */
  async writeRecord(record: ImageRecord, lastUse: Date): Promise<void> {
    const temporary = this.temporaryFile();
    await this.writeTemporary(temporary, encodeRecord(record), lastUse);
    try {
      await attempt("write a record", () => replaceEntry(temporary, this.#recordFile(record), this.#images));
    } catch (error) {
      await this.removeTemporary(temporary);
      throw error;
    }
  }

  /** Removes a record if it is there. */
  async removeRecord(record: ImageRecord): Promise<void> {
    await attempt("remove a record", () => removeEntry(this.#recordFile(record)));
  }

  /** Notes a use of an image. */
  async touchRecord(record: ImageRecord, lastUse: Date): Promise<void> {
    await attempt("note a use", () => lutimes(this.#recordFile(record), lastUse, lastUse), ["ENOENT"]);
  }

  /** All records that can be read; what else is there is removed, and counted. */
  async loadRecords(): Promise<{ readonly stored: readonly StoredRecord[]; readonly unreadable: number }> {
    return attempt("read the records", async () => {
      const names = await readdir(this.#images);
      const stored: StoredRecord[] = [];
      for (const name of names) {
        const file = join(this.#images, name);
        const stats = await lstat(file);
        const isReadable = stats.isFile() && stats.size <= maxRecordBytes;
        const record = isReadable ? decodeRecord(await readFile(file)) : undefined;
        if (record === undefined || `${recordId(record)}.json` !== name) await removeEntry(file);
        else stored.push({ record, lastUse: stats.mtimeMs });
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

async function attempt<T>(what: string, work: () => Promise<T>): Promise<T>;
async function attempt<T>(
  what: string,
  work: () => Promise<T>,
  ignored: readonly string[],
): Promise<T | undefined>;
async function attempt<T>(
  what: string,
  work: () => Promise<T>,
  ignored: readonly string[] = [],
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (ignored.some((code) => hasCode(error, code))) return undefined;
    throw diskError(what, error);
  }
}
