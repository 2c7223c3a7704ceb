import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";

import { fileUnwritable } from "../errors.ts";
import { type Digest, parseDigest } from "../oci/digest.ts";
import { tarEnd } from "../oci/tar.ts";
import { type Compressor, createCompressor } from "./compressor.ts";
import type { LayerCompression } from "./layer-compression.ts";
import type { Layer } from "./layer-writer.ts";

/** A layer in a file, as it is pushed. */
export interface CompressedLayer extends Layer {
  readonly compression: LayerCompression;
  /** Of the tar. */
  readonly diffID: Digest;
  /** Bytes of the tar. */
  readonly tarSize: number;
}

/** Writes bytes at a place of a file, or of what stands for one; they must not be kept. */
export type WriteAt = (bytes: Uint8Array, at: number) => Promise<void>;

/**
 * Bytes that the compressor is given at a time, whatever comes in: with others, gzip's bytes would be other ones. It is a
 * part of the conversion's version.
 */
const pieceSize = 256 * 1024;
/** Pieces that are compressed, or wait for it, while more of the tar is made. */
const maxInFlight = 4;

/** Compresses a layer into a file, and hashes both on the way. Its memory is a few buffers that are used again. */
export class CompressedLayerWriter {
  readonly #compression: LayerCompression;
  readonly #writeAt: WriteAt;
  readonly #compressor: Compressor;
  readonly #tarHash = createHash("sha256");
  readonly #hash = createHash("sha256");
  #tarSize = 0;
  #size = 0;

  #full: Uint8Array[] = [];
  #current: Uint8Array = Buffer.allocUnsafeSlow(pieceSize);
  #used = 0;
  readonly #spare: Uint8Array[] = [];
  readonly #inFlight: Promise<void>[] = [];
  readonly #writes = new Set<Promise<void>>();
  #isClosed = false;

  constructor(writeAt: WriteAt, compression: LayerCompression) {
    this.#writeAt = writeAt;
    this.#compression = compression;
    this.#compressor = createCompressor(compression, async (bytes) => this.#write(bytes));
  }

  /** Bytes of the tar so far. */
  get tarSize(): number {
    return this.#tarSize;
  }

  /** Adds bytes, which are copied. */
  put(bytes: Uint8Array): void {
    this.#tarSize += bytes.length;
    for (let at = 0; at < bytes.length;) {
      if (this.#used === pieceSize) this.#turnOver();
      const end = Math.min(bytes.length, at + pieceSize - this.#used);
      this.#current.set(bytes.subarray(at, end), this.#used);
      this.#used += end - at;
      at = end;
    }
  }

  /** Has whole pieces compressed; that goes on while more is put. */
  async drain(): Promise<void> {
    for (const piece of this.#full.splice(0)) this.#compress(piece, piece);
    while (this.#inFlight.length > maxInFlight) await this.#inFlight.shift();
  }

  /** Ends the archive, and waits until the file has it. */
  async finish(): Promise<CompressedLayer> {
    this.put(tarEnd);
    await this.drain();
    this.#compress(this.#current.subarray(0, this.#used), this.#current);
    while (this.#inFlight.length > 0) await this.#inFlight.shift();
    await this.#compressor.end();
    const diffID = parseDigest(`sha256:${this.#tarHash.digest("hex")}`);
    const digest = this.#compression === "none" ? diffID : parseDigest(`sha256:${this.#hash.digest("hex")}`);
    return { compression: this.#compression, digest, size: this.#size, diffID, tarSize: this.#tarSize };
  }

  /** Frees the compressor's memory, whatever came of the layer; then nothing more is written to the file. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#compressor.close();
    await Promise.allSettled(this.#writes);
  }

  #turnOver(): void {
    this.#full.push(this.#current);
    this.#current = this.#spare.pop() ?? Buffer.allocUnsafeSlow(pieceSize);
    this.#used = 0;
  }

  #compress(piece: Uint8Array, buffer: Uint8Array): void {
    this.#tarHash.update(piece);
    const done = this.#compressor.write(piece).then(() => void this.#spare.push(buffer));
    // Awaited later.
    done.catch(() => undefined);
    this.#inFlight.push(done);
  }

  async #write(bytes: Uint8Array): Promise<void> {
    if (this.#isClosed) throw new Error("the layer was given up");
    if (this.#compression !== "none") this.#hash.update(bytes);
    const at = this.#size;
    this.#size += bytes.length;
    const write = this.#writeAt(bytes, at);
    this.#writes.add(write);
    try {
      await write;
    } finally {
      this.#writes.delete(write);
    }
  }
}

/** Writes to an open file. */
export function writeToFile(handle: FileHandle, path: string): WriteAt {
  return async (bytes, at) => {
    try {
      // Writes on where a write ended early, as it does just before the disk is full.
      for (let done = 0; done < bytes.length;) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at + done);
        done += bytesWritten;
      }
    } catch (error) {
      throw fileUnwritable(path, error instanceof Error ? error.message : String(error)).causedBy(error);
    }
  };
}

/** Compresses a small layer in memory. */
export async function compressTar(
  tar: Uint8Array,
  compression: LayerCompression,
): Promise<{ readonly layer: CompressedLayer; readonly bytes: Uint8Array }> {
  const written: Buffer[] = [];
  const writer = new CompressedLayerWriter(
    async (bytes) => void written.push(Buffer.from(bytes)),
    compression,
  );
  try {
    writer.put(tar);
    const layer = await writer.finish();
    return { layer, bytes: Buffer.concat(written) };
  } finally {
    await writer.close();
  }
}
