import { BitReader } from "./bit-reader.ts";
import { readBlock } from "./bzip2-block.ts";

/** Block sizes are multiples of this (bytes). */
const blockUnit = 100_000;
/** Input that is to be at hand beyond the size of a block: a block's tables, and what does not shrink. */
const blockMargin = 25_000;

/** "BZh" before the digit of the block size. */
const streamMagic = 0x425a68;
/** Digits of pi and of its square root, in two halves. */
const blockMagic = [0x314159, 0x265359] as const;
const endMagic = [0x177245, 0x385090] as const;

/**
 * bzip2, of one stream or several. Libraries on npm either write out a whole block, up to 46 MB, before its first byte
 * can be had, or leave out what follows the first stream, or want all of the data at once.
 */
export async function* decompressBzip2(
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const decoder = new StreamDecoder();
  for await (const chunk of input) {
    decoder.bits.supply(chunk);
    while (decoder.hasBlock) yield* decoder.read();
  }
  while (decoder.bits.left > 0) yield* decoder.read();
  if (!decoder.complete) throw new Error("unexpected end of file");
}

class StreamDecoder {
  readonly bits = new BitReader();
  /** For the largest blocks so far; each is read into it. */
  #block = new Int32Array();
  /** Bytes; 0 before a stream's header. */
  #blockSize = 0;
  #checksum = 0;
  #streams = 0;

  /** Whether the input so far is whole streams, one at least. */
  get complete(): boolean {
    return this.#streams > 0 && this.#blockSize === 0;
  }

  /** Whether so much input is at hand that a block cannot be longer. */
  get hasBlock(): boolean {
    return this.bits.left >= this.#blockSize + blockMargin;
  }

  /** Reads a header, a block or the end of a stream, whichever comes next. */
  *read(): Generator<Uint8Array, void, undefined> {
    if (this.#blockSize === 0) {
      this.#readHeader();
      return;
    }
    const magic = [this.bits.read(24), this.bits.read(24)] as const;
    if (isMagic(magic, endMagic)) {
      this.#readEnd();
      return;
    }
    if (!isMagic(magic, blockMagic)) throw new Error("compressed data is corrupt");
    if (this.#block.length < this.#blockSize) this.#block = new Int32Array(this.#blockSize);
    const crc = yield* readBlock(this.bits, this.#block.subarray(0, this.#blockSize));
    this.#checksum = crc ^ ((this.#checksum << 1) | (this.#checksum >>> 31));
  }

  #readHeader(): void {
    const magic = this.bits.read(24);
    const level = this.bits.read(8) - "0".charCodeAt(0);
    if (magic !== streamMagic || level < 1 || level > 9) {
      throw new Error(
        this.#streams === 0 ? "it is not in the format of bzip2" : "there is data after its end",
      );
    }
    this.#blockSize = level * blockUnit;
    this.#checksum = 0;
  }

  #readEnd(): void {
    if ((this.bits.read(32) | 0) !== this.#checksum) throw new Error("its checksum is wrong");
    this.bits.align();
    this.#blockSize = 0;
    this.#streams++;
  }
}

function isMagic(found: readonly [number, number], wanted: readonly [number, number]): boolean {
  return found[0] === wanted[0] && found[1] === wanted[1];
}
