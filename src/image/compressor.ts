import zlib from "node:zlib";

import { freeMemory } from "../compression/free-memory.ts";
import { GzipCompressor } from "./gzip-compressor.ts";
import { type LayerCompression, zstdLevel } from "./layer-compression.ts";

/**
 * Compresses bytes as they come. The same pieces give the same bytes on every machine: so nothing is in here that
 * depends on the processor, on the number of threads, or on when somebody reads.
 */
export interface Compressor {
  /** Takes a piece, which must not change before this resolves. The next one may be written earlier. */
  write(piece: Uint8Array): Promise<void>;
  /** Ends it when all that was written has been compressed; resolves when all that came out has been taken. */
  end(): Promise<void>;
  /** Ends it early, and frees its memory. */
  close(): void;
}

/** Takes what a compressor makes, one piece after the other. */
export type CompressedOutput = (bytes: Uint8Array) => Promise<void>;

/** Makes a compressor. */
export function createCompressor(compression: LayerCompression, output: CompressedOutput): Compressor {
  switch (compression) {
    case "zstd":
      return new ZstdCompressor(output);
    case "gzip":
      return new GzipCompressor(output);
    case "none":
      return { write: output, end: async () => undefined, close: () => undefined };
  }
}

/** Bytes that come out at a time, at most. */
const chunkSize = 256 * 1024;

/**
 * zstd of Node's library, on a thread of its own. Nothing is said to it of the size of the whole, which is not known at
 * the start; its window and everything else then follow from the level alone.
 */
class ZstdCompressor implements Compressor {
  readonly #stream = zlib.createZstdCompress({
    chunkSize,
    params: { [zlib.constants.ZSTD_c_compressionLevel]: zstdLevel },
  });
  readonly #taken: Promise<void>;
  #last: Promise<void> = Promise.resolve();

  constructor(output: CompressedOutput) {
    this.#taken = this.#pass(output);
    // Told by the next call.
    this.#taken.catch(() => undefined);
  }

  async write(piece: Uint8Array): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#last = promise;
    this.#stream.write(piece, (error) => (error ? reject(error) : resolve()));
    try {
      await promise;
    } catch (error) {
      // Where the output failed, the stream was ended for it.
      await this.#taken;
      throw error;
    }
  }

  async end(): Promise<void> {
    // Else the stream would take the end together with the last piece, or not, as it happens, with other bytes.
    await this.#last;
    this.#stream.end();
    await this.#taken;
  }

  close(): void {
    this.#stream.destroy();
  }

  async #pass(output: CompressedOutput): Promise<void> {
    for await (const chunk of this.#stream as AsyncIterable<Uint8Array>) {
      await output(chunk);
      freeLast(chunk);
    }
  }
}

/**
 * Gives back the memory that a stream of node:zlib has filled, with the last chunk that lies in it: the collector would let
 * some dozen megabytes of it come together.
 */
function freeLast({ buffer, byteOffset, byteLength }: Uint8Array): void {
  if (byteOffset + byteLength === buffer.byteLength) freeMemory(new Uint8Array(buffer));
}
