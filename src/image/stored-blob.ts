import type { FileHandle } from "node:fs/promises";

import type { Digest } from "../oci/digest.ts";
import { digestOfFile } from "./blob-stream.ts";
import type { Layer } from "./layer-writer.ts";

/**
 * Between two looks at all bytes of a blob that is read. What a program does to its file is seen without, each time; this
 * is for a disk that forgets, and hashing takes as long as sending. Milliseconds.
 */
const hashInterval = 10 * 60_000;

/** A blob of the store, and what is known of its file. */
export class StoredBlob implements Layer {
  readonly digest: Digest;
  readonly size: number;
  /** Who reads it, or needs it to stay. */
  users = 0;
  /** Of the file whose bytes are known to have the digest. */
  #identity: string | undefined;
  /** A look at the bytes of the file with this identity that is under way. */
  #verification: { readonly identity: string; readonly isGood: Promise<boolean> } | undefined;

  readonly #now: () => number;
  #hashedAt = -Infinity;

  /** @param now milliseconds from any start, which never go back. */
  constructor({ digest, size }: Layer, now: () => number = () => performance.now()) {
    this.digest = digest;
    this.size = size;
    this.#now = now;
  }

  /** Whether its bytes are to be hashed when they are read the next time. */
  get isDue(): boolean {
    return this.#now() - this.#hashedAt >= hashInterval;
  }

  /** Says that its bytes were read, and have the digest. */
  wasHashed(): void {
    this.#hashedAt = this.#now();
  }

  /** Says that a file has the blob's bytes: they were hashed while they were written. */
  async trust(file: FileHandle): Promise<void> {
    this.wasHashed();
    this.#identity = await identityOf(file);
  }

  /** Whether a file has the blob's bytes. It is read only if it is not the one that is known to have them. */
  async isGood(file: FileHandle): Promise<boolean> {
    const identity = await identityOf(file);
    if (identity === undefined) return false;
    if (this.#identity === identity) return true;
    if (this.#verification?.identity !== identity) {
      this.#verification = { identity, isGood: this.#verify(file) };
    }
    if (!(await this.#verification.isGood)) return false;
    // Of before the look: what is written to the file meanwhile gives it another one.
    this.#identity = identity;
    return true;
  }

  /** A file that cannot be read is as good as one with other bytes. */
  async #verify(file: FileHandle): Promise<boolean> {
    try {
      const { size } = await file.stat();
      const isGood = size === this.size && (await digestOfFile(file, size)) === this.digest;
      if (isGood) this.wasHashed();
      return isGood;
    } catch {
      return false;
    }
  }
}

/** Changes whenever the file is another, or its bytes were written to; undefined for what is no file. */
async function identityOf(file: FileHandle): Promise<string | undefined> {
  const stats = await file.stat({ bigint: true });
  const { dev, ino, size, mtimeNs, ctimeNs } = stats;
  return stats.isFile() ? [dev, ino, size, mtimeNs, ctimeNs].join(":") : undefined;
}
