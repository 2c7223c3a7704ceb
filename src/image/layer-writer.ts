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
  /** Bytes that were on their way to the file, and their hash. */
  readonly written: number;
  readonly hash: Hash;
  /** A copy of those after them. */
  readonly pending: Uint8Array;
}

/** Bytes that are gathered before they are hashed and written. */
const bufferSize = 256 * 1024;
/** Bytes after which the disk is told to begin, so that there is little to wait for at the end. */
const syncInterval = 8 * 1024 * 1024;

/** Writes a layer to a file, in large pieces, and hashes it on the way. Its memory is a few buffers that are used again. */
export class LayerWriter {
  readonly #file: FileHandle;
  readonly #allow: (size: number) => Promise<void>;
  #hash = createHash("sha256");
  /** Bytes that were put, written or not. */
  #size = 0;
  #written = 0;
  #synced = 0;

  /** To be written, in this order, before what the current one holds. */
  #full: Uint8Array[] = [];
  #current: Uint8Array = Buffer.allocUnsafeSlow(bufferSize);
  #used = 0;
  readonly #spare: Uint8Array[] = [];
  #writing: Promise<void> = Promise.resolve();
  #syncing: Promise<void> | undefined;

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

  /** Adds bytes, which are copied. */
  put(piece: Uint8Array): void {
    this.#size += piece.length;
    for (let at = 0; at < piece.length;) {
      if (this.#used === bufferSize) this.#turnOver();
      const end = Math.min(piece.length, at + bufferSize - this.#used);
      this.#current.set(piece.subarray(at, end), this.#used);
      this.#used += end - at;
      at = end;
    }
  }

  /** Writes if there is enough for it; the write goes on while more is put, one at a time. */
  async drain(): Promise<void> {
    if (this.#full.length > 0) await this.#startWrite();
  }

  /** Notes the place, without a wait for what is not written yet. */
  checkpoint(): Checkpoint {
    const pending = Buffer.concat([...this.#full, this.#current.subarray(0, this.#used)]);
    return { written: this.#written, hash: this.#hash.copy(), pending };
  }

  /** Forgets what was put after a checkpoint. */
  async rollBack(to: Checkpoint): Promise<void> {
    // Its failure was, or will be, somebody's to hear; a disk that fails now fails below too.
    await this.#writing.catch(() => undefined);
    this.#writing = Promise.resolve();
    this.#spare.push(...this.#full.splice(0));
    this.#used = 0;
    this.#hash = to.hash.copy();
    this.#size = to.written;
    this.#written = to.written;
    this.#synced = Math.min(this.#synced, to.written);
    await this.#file.truncate(to.written).catch((error: unknown) => {
      throw diskError("shorten a layer", error);
    });
    this.put(to.pending);
  }

  /** Ends the archive, and waits until the disk has it. */
  async finish(): Promise<Layer> {
    this.put(tarEnd);
    await this.#flush();
    await this.#syncing;
    await this.#file.sync().catch((error: unknown) => {
      throw diskError("write a layer", error);
    });
    return { digest: parseDigest(`sha256:${this.#hash.digest("hex")}`), size: this.#size };
  }

  async #flush(): Promise<void> {
    await this.#startWrite();
    await this.#writing;
    if (this.#used === 0) return;
    const rest = this.#current.subarray(0, this.#used);
    this.#hash.update(rest);
    await this.#write([rest], this.#written, this.#size);
    this.#written = this.#size;
    this.#used = 0;
  }

  async #startWrite(): Promise<void> {
    await this.#writing;
    const pieces = this.#full;
    const position = this.#written;
    this.#full = [];
    this.#written += pieces.length * bufferSize;
    for (const piece of pieces) this.#hash.update(piece);
    this.#writing = this.#write(pieces, position, this.#written).then(() => {
      this.#spare.push(...pieces);
    });
    // Awaited by the next call.
    this.#writing.catch(() => undefined);
  }

  #turnOver(): void {
    this.#full.push(this.#current);
    this.#current = this.#spare.pop() ?? Buffer.allocUnsafeSlow(bufferSize);
    this.#used = 0;
  }

  async #write(pieces: readonly Uint8Array[], position: number, size: number): Promise<void> {
    if (pieces.length === 0) return;
    await this.#allow(size);
    try {
      await writeAll(this.#file, pieces, position);
    } catch (error) {
      throw diskError("write a layer", error);
    }
    this.#syncSometimes(size);
  }

  /** Has the disk write what the file has so far, at its leisure; what fails is heard of at the end. */
  #syncSometimes(size: number): void {
    if (this.#syncing !== undefined || size - this.#synced < syncInterval) return;
    this.#synced = size;
    this.#syncing = this.#file
      .datasync()
      .catch(() => undefined)
      .finally(() => (this.#syncing = undefined));
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
