import bitIterator, { type BitReader } from "unbzip2-stream/lib/bit_iterator.js";
import bzip2 from "unbzip2-stream/lib/bzip2.js";

/** Block sizes are multiples of this (bytes). */
const blockUnit = 100_000;
/** Input that is to be at hand beyond the size of a block: a block's tables, and what does not shrink. */
const blockMargin = 25_000;
const chunkSize = 256 * 1024;

/**
 * bzip2, of one stream or several, by the inner functions of unbzip2-stream: its own stream collects a block's bytes
 * in an array of numbers, 8 bytes of memory each, and a block of zeros gives 46 MB.
 */
export async function* decompressBzip2(
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const decoder = new BlockDecoder();
  for await (const chunk of input) {
    if (chunk.length > 0) decoder.supply(chunk);
    while (decoder.hasBlock) yield* decoder.read();
  }
  while (decoder.hasInput) yield* decoder.read();
  if (!decoder.complete) throw new Error("unexpected end of file");
}

class BlockDecoder {
  readonly #queue: Uint8Array[] = [];
  #supplied = 0;
  #bits: BitReader | undefined;
  /** Bytes; 0 before a stream's header. */
  #blockSize = 0;
  #checksum = 0;
  #streams = 0;

  /** Whether the input so far is whole streams, one at least. */
  get complete(): boolean {
    return this.#streams > 0 && this.#blockSize === 0;
  }

  get hasInput(): boolean {
    return this.#left > 0;
  }

  /** Whether so much input is at hand that a block cannot be longer. */
  get hasBlock(): boolean {
    return this.#left >= this.#blockSize + blockMargin;
  }

  get #left(): number {
    return this.#supplied - (this.#bits?.bytesRead ?? 0);
  }

  supply(chunk: Uint8Array): void {
    this.#supplied += chunk.length;
    this.#queue.push(chunk);
    this.#bits ??= bitIterator(() => {
      const next = this.#queue.shift();
      if (next === undefined) throw new Error("unexpected end of file");
      return next;
    });
  }

  /** Reads a header, a block or the end of a stream, whichever comes next. */
  read(): readonly Uint8Array[] {
    if (this.#bits === undefined) return [];
    if (this.#blockSize === 0) {
      this.#blockSize = bzip2.header(this.#bits) * blockUnit;
      this.#checksum = 0;
      return [];
    }
    const output = new ByteCollector();
    const block = new Int32Array(this.#blockSize);
    const checksum = bzip2.decompress(this.#bits, output.add, block, this.#blockSize, this.#checksum);
    if (checksum === null) {
      this.#blockSize = 0;
      this.#streams++;
    } else {
      this.#checksum = checksum;
    }
    return output.finish();
  }
}

/** Bytes that come one by one. */
class ByteCollector {
  readonly #full: Uint8Array[] = [];
  #chunk = new Uint8Array(chunkSize);
  #length = 0;

  readonly add = (byte: number): void => {
    if (this.#length === chunkSize) {
      this.#full.push(this.#chunk);
      this.#chunk = new Uint8Array(chunkSize);
      this.#length = 0;
    }
    this.#chunk[this.#length++] = byte;
  };

  finish(): readonly Uint8Array[] {
    return this.#length === 0 ? this.#full : [...this.#full, this.#chunk.subarray(0, this.#length)];
  }
}
