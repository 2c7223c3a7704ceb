import type { BitReader } from "./bit-reader.ts";
import { damaged, readSymbol, readTables } from "./bzip2-tables.ts";

/** Symbols that one table is used for. */
const groupSize = 50;
/** A repetition count follows so many equal bytes. */
const runStart = 4;
const chunkSize = 256 * 1024;

/** The checksum of bzip2: CRC-32 as Ethernet has it, but with the most significant bit first. */
const crcTable = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit++) crc = (crc << 1) ^ (crc < 0 ? 0x04c11db7 : 0);
  return crc;
});

/**
 * Reads a block, from its checksum on, and gives its bytes in chunks of up to 256 KiB.
 *
 * After micro-bunzip by Rob Landley, and decompress.c of bzip2 1.0.8, whose limits it has. Every loop ends: a run is
 * held against the room that is left at each of its symbols.
 *
 * @param block is for so many symbols as the stream's header says; what it holds before does not matter.
 * @returns the block's checksum.
 * @throws Error
 */
export function* readBlock(bits: BitReader, block: Int32Array): Generator<Uint8Array, number, undefined> {
  const wanted = bits.read(32) | 0;
  if (bits.read(1) === 1) throw new Error("it is of an obsolete version of bzip2 (randomised)");
  const start = bits.read(24);
  const count = readSymbols(bits, block);
  if (start >= count) throw damaged();
  linkNext(block, count);
  const crc = yield* followLinks(block, count, start);
  if (crc !== wanted) throw new Error("its checksum is wrong");
  return crc;
}

/** Fills the block with the bytes of the Burrows-Wheeler transform; returns their number. */
function readSymbols(bits: BitReader, block: Int32Array): number {
  const { bytes, tables, selectors } = readTables(bits);
  const endSymbol = bytes.length + 1;
  /** The bytes that occur, the latest one first. */
  const recent = Uint8Array.from(bytes);
  let count = 0;
  let runWeight = 1;
  for (const selector of selectors) {
    const table = tables[selector];
    if (table === undefined) throw damaged();
    for (let left = groupSize; left > 0; left--) {
      const symbol = readSymbol(bits, table);
      if (symbol === endSymbol) return count;
      if (symbol <= 1) {
        // A digit of a run's length, in a base 2 without zero.
        const end = count + (runWeight << symbol);
        if (end > block.length) throw damaged();
        block.fill(recent[0] ?? 0, count, end);
        count = end;
        runWeight <<= 1;
        continue;
      }
      if (count >= block.length) throw damaged();
      runWeight = 1;
      const byte = recent[symbol - 1] ?? 0;
      recent.copyWithin(1, 0, symbol - 1);
      recent[0] = byte;
      block[count++] = byte;
    }
  }
  throw damaged();
}

/** Puts above each byte, from its ninth bit on, where the one is that follows it in the text. */
function linkNext(block: Int32Array, count: number): void {
  const places = new Int32Array(256);
  for (let at = 0; at < count; at++) {
    const byte = block[at] ?? 0;
    places[byte] = (places[byte] ?? 0) + 1;
  }
  let sum = 0;
  for (let byte = 0; byte < 256; byte++) {
    const occurrences = places[byte] ?? 0;
    places[byte] = sum;
    sum += occurrences;
  }
  for (let at = 0; at < count; at++) {
    const byte = (block[at] ?? 0) & 0xff;
    const place = places[byte] ?? 0;
    places[byte] = place + 1;
    block[place] = (block[place] ?? 0) | (at << 8);
  }
}

/** The text, with its runs written out; returns its checksum. */
function* followLinks(
  block: Int32Array,
  count: number,
  start: number,
): Generator<Uint8Array, number, undefined> {
  let chunk = new Uint8Array(chunkSize);
  let length = 0;
  let crc = -1;
  let equal = 0;
  let last = -1;
  let at = (block[start] ?? 0) >>> 8;
  for (let left = count; left > 0; left--) {
    const entry = block[at] ?? 0;
    const byte = entry & 0xff;
    at = entry >>> 8;
    let copies = 1;
    if (equal === runStart) {
      copies = byte;
      equal = 0;
    } else {
      equal = byte === last ? equal + 1 : 1;
      last = byte;
    }
    for (; copies > 0; copies--) {
      crc = (crc << 8) ^ (crcTable[((crc >> 24) ^ last) & 0xff] ?? 0);
      if (length === chunkSize) {
        yield chunk;
        chunk = new Uint8Array(chunkSize);
        length = 0;
      }
      chunk[length++] = last;
    }
  }
  if (length > 0) yield chunk.subarray(0, length);
  return ~crc;
}
