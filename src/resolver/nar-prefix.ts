import { Readable } from "node:stream";
import { createBrotliDecompress, createGunzip } from "node:zlib";
import bitIterator from "unbzip2-stream/lib/bit_iterator.js";
import bzip2 from "unbzip2-stream/lib/bzip2.js";
import xz from "xz-decompress";
import { decodeZstd } from "./zstd-frames.ts";

/** What zstd itself takes without being told. */
const zstdWindowLog = 27;

type Decoder = (compressed: Uint8Array) => AsyncIterable<Uint8Array>;

/** By the name that a narinfo has. */
const decoders = new Map<string, Decoder>([
  ["none", (bytes) => Readable.from([bytes])],
  ["gzip", (bytes) => Readable.from([bytes]).pipe(createGunzip())],
  ["br", (bytes) => Readable.from([bytes]).pipe(createBrotliDecompress())],
  ["zstd", (bytes) => decodeZstd(Readable.from([bytes]), zstdWindowLog)],
  ["xz", decodeXz],
  ["bzip2", (bytes) => Readable.from([decodeFirstBzip2Bytes(bytes)])],
]);

/** Bytes of a NAR that tell all there is to its root's type, and more. */
export const prefixSize = 512;

export function canDecodePrefix(compression: string): boolean {
  return decoders.has(compression);
}

/**
 * The first bytes of what was compressed, from the first bytes of the compressed data.
 *
 * @returns fewer than {@link prefixSize} if the compressed data is too short, or wrong: that looks the same.
 */
export async function decodePrefix(compressed: Uint8Array, compression: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of decoders.get(compression)?.(compressed) ?? []) {
      chunks.push(chunk);
      size += chunk.length;
      if (size >= prefixSize) break;
    }
  } catch {
    // What was decoded before the data broke off is what there is.
  }
  return Buffer.concat(chunks);
}

/**
 * The library lets one of its streams be read at a time, until that ends or is cancelled: so its input has to be here
 * already, as it is. One that is cancelled before it was its turn would block the others for ever, so the first bytes
 * are always awaited.
 */
function decodeXz(compressed: Uint8Array): AsyncIterable<Uint8Array> {
  return new xz.XzReadableStream(new Blob([compressed]).stream());
}

/**
 * bzip2 is decoded block by block, up to 900 kB each. The library has no way to stop within one but an error; its own
 * stream would go on with the blocks after it.
 */
function decodeFirstBzip2Bytes(compressed: Uint8Array): Uint8Array {
  const output = Buffer.alloc(prefixSize);
  let length = 0;
  const buffers = [compressed];
  const bits = bitIterator(() => buffers.shift());
  const blockSize = bzip2.header(bits) * 100_000;
  const add = (byte: number): void => {
    if (length === prefixSize) throw new Error("that is enough");
    output[length++] = byte;
  };
  try {
    bzip2.decompress(bits, add, new Int32Array(blockSize), blockSize, 0);
  } catch (error) {
    if (length < prefixSize) throw error;
  }
  return output.subarray(0, length);
}
