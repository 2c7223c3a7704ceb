import { createHash, type Hash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";

import { type Digest, parseDigest } from "../oci/digest.ts";
import { tarEnd } from "../oci/tar.ts";
import { diskError } from "./disk-error.ts";

/** A layer that was written. */
export interface Layer {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/** A place in a layer to which it can be taken back. */
export interface Checkpoint {
  readonly size: number;
  readonly hash: Hash;
}

/** Bytes that are gathered before they are written; a system call for each header would cost more than the copy. */
const batchSize = 256 * 1024;
/** Smaller pieces are copied together, larger ones are written from where they are. */
const copyLimit = 8 * 1024;

/** Writes a layer to a file, in large pieces, and hashes it on the way. */
export class LayerWriter {
  readonly #file: FileHandle;
  readonly #allow: (size: number) => Promise<void>;
  #hash = createHash("sha256");
  /** Bytes that were put, written or not. */
  #size = 0;
  #written = 0;

  #pieces: Uint8Array[] = [];
  #copied = Buffer.allocUnsafe(batchSize);
  #copyStart = 0;
  #copyEnd = 0;
  #writing: Promise<void> = Promise.resolve();

  /**
   * @param file is empty, and is not closed.
   * @param allow is asked before the file becomes larger, with its new size in bytes.
   */
  constructor(file: FileHandle, allow: (size: number) => Promise<void>) {
    this.#file = file;
    this.#allow = allow;
  }

  /** Bytes so far. */
  get size(): number {
    return this.#size;
  }

  /** Adds bytes. A large piece is not copied and must stay as it is until the next `drain` but one has returned. */
  put(piece: Uint8Array): void {
    this.#size += piece.length;
    if (piece.length >= copyLimit) {
      this.#closeCopied();
      this.#pieces.push(piece);
      return;
    }
    if (this.#copyEnd + piece.length > this.#copied.length) {
      this.#closeCopied();
      this.#copied = Buffer.allocUnsafe(batchSize);
      this.#copyStart = 0;
      this.#copyEnd = 0;
    }
    this.#copied.set(piece, this.#copyEnd);
    this.#copyEnd += piece.length;
  }

  /** Writes if there is enough for it; the write goes on while more is put, one at a time. */
  async drain(): Promise<void> {
    if (this.#size - this.#written >= batchSize) await this.#startWrite();
  }

  /** Waits until all is written, and notes the place. */
  async checkpoint(): Promise<Checkpoint> {
    await this.#flush();
    return { size: this.#size, hash: this.#hash.copy() };
  }

  /** Forgets what was put after a checkpoint. */
  async rollBack(to: Checkpoint): Promise<void> {
    // Its failure was, or will be, somebody's to hear; a disk that fails now fails below too.
    await this.#writing.catch(() => undefined);
    this.#writing = Promise.resolve();
    this.#pieces = [];
    this.#copyStart = this.#copyEnd;
    this.#hash = to.hash.copy();
    this.#size = to.size;
    this.#written = to.size;
    await this.#file.truncate(to.size).catch((error: unknown) => {
      throw diskError("shorten a layer", error);
    });
  }

  /** Ends the archive, and waits until the disk has it. */
  async finish(): Promise<Layer> {
    this.put(tarEnd);
    await this.#flush();
    await this.#file.sync().catch((error: unknown) => {
      throw diskError("write a layer", error);
    });
    return { digest: parseDigest(`sha256:${this.#hash.digest("hex")}`), size: this.#size };
  }

  async #flush(): Promise<void> {
    await this.#startWrite();
    await this.#writing;
  }

  async #startWrite(): Promise<void> {
    await this.#writing;
    this.#closeCopied();
    const pieces = this.#pieces;
    const position = this.#written;
    this.#pieces = [];
    this.#written = this.#size;
    for (const piece of pieces) this.#hash.update(piece);
    this.#writing = this.#write(pieces, position, this.#size);
    // Awaited by the next call.
    this.#writing.catch(() => undefined);
  }

  #closeCopied(): void {
    if (this.#copyEnd > this.#copyStart)
      this.#pieces.push(this.#copied.subarray(this.#copyStart, this.#copyEnd));
    this.#copyStart = this.#copyEnd;
  }

  async #write(pieces: readonly Uint8Array[], position: number, size: number): Promise<void> {
    if (pieces.length === 0) return;
    await this.#allow(size);
    try {
      await writeAll(this.#file, pieces, position);
    } catch (error) {
      throw diskError("write a layer", error);
    }
  }
}

/** Writes on where a write ended early, as it does just before the disk is full. */
async function writeAll(file: FileHandle, pieces: readonly Uint8Array[], start: number): Promise<void> {
  let left = pieces;
  for (let position = start; left.length > 0;) {
    const { bytesWritten } = await file.writev(left, position);
    position += bytesWritten;
    left = dropBytes(left, bytesWritten);
  }
}

function dropBytes(pieces: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let left = count;
  for (const [index, piece] of pieces.entries()) {
    if (left < piece.length) return [piece.subarray(left), ...pieces.slice(index + 1)];
    left -= piece.length;
  }
  return [];
}
