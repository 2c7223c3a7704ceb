import { crc32 } from "node:zlib";

import { Deflate } from "fflate";

import type { CompressedOutput, Compressor } from "./compressor.ts";
import { gzipLevel } from "./layer-compression.ts";

/** RFC 1952, 2.3: deflate, no flags, no time, no extra flags, and 255 for "unknown" as the operating system. */
const header = Buffer.from("1f8b08000000000000ff", "hex");

/**
 * gzip by a library of JavaScript: node:zlib's deflate looks for matches in other ways on other processors, so that its
 * bytes differ between them.
 */
export class GzipCompressor implements Compressor {
  readonly #output: CompressedOutput;
  readonly #deflate: Deflate;
  #made: Uint8Array[] = [header];
  /** One after the other, in the order of the pieces. */
  #passing: Promise<void> = Promise.resolve();
  #crc = 0;
  #size = 0;

  constructor(output: CompressedOutput) {
    this.#output = output;
    this.#deflate = new Deflate({ level: gzipLevel }, (bytes) => {
      if (bytes.length > 0) this.#made.push(bytes);
    });
  }

  async write(piece: Uint8Array): Promise<void> {
    this.#crc = crc32(piece, this.#crc);
    this.#size += piece.length;
    this.#deflate.push(piece);
    await this.#pass();
  }

  async end(): Promise<void> {
    this.#deflate.push(new Uint8Array(), true);
    const trailer = Buffer.alloc(8);
    trailer.writeUInt32LE(this.#crc, 0);
    trailer.writeUInt32LE(this.#size % 2 ** 32, 4);
    this.#made.push(trailer);
    await this.#pass();
  }

  close(): void {
    this.#made = [];
  }

  async #pass(): Promise<void> {
    const made = this.#made.splice(0);
    this.#passing = this.#passing.then(async () => {
      for (const bytes of made) await this.#output(bytes);
    });
    await this.#passing;
  }
}
