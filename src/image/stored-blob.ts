import type { FileHandle } from "node:fs/promises";

import type { Digest } from "../oci/digest.ts";
import { digestOfFile } from "./blob-stream.ts";
import type { Layer } from "./layer-writer.ts";

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

  constructor({ digest, size }: Layer) {
    this.digest = digest;
    this.size = size;
  }

  /** Says that a file has the blob's bytes: they were hashed while they were written. */
  async trust(file: FileHandle): Promise<void> {
    this.#identity = await identityOf(file);
  }

  /** Whether a file has the blob's bytes. It is read only if it is not the one that is known to have them. */
  async isGood(file: FileHandle): Promise<boolean> {
    const identity = await identityOf(file);
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
      return size === this.size && (await digestOfFile(file, size)) === this.digest;
    } catch {
      return false;
    }
  }
}

/** Changes whenever the file is another, or its bytes were written to. */
async function identityOf(file: FileHandle): Promise<string> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await file.stat({ bigint: true });
  return [dev, ino, size, mtimeNs, ctimeNs].join(":");
}
