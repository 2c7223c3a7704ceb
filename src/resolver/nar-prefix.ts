import { Readable } from "node:stream";
import { createBrotliDecompress, createGunzip } from "node:zlib";
import { decompressBzip2 } from "../compression/bzip2.ts";
import { decompressXz } from "../compression/xz.ts";
import { decompressZstd } from "../compression/zstd.ts";

type Decoder = (compressed: Uint8Array) => AsyncIterable<Uint8Array>;

/** Bytes that a decoder gives at a time: no more is wanted of it, and hundreds of paths are looked at. */
const prefixChunk = 4096;

/** By the name that a narinfo has. */
const decoders = new Map<string, Decoder>([
  ["none", (bytes) => Readable.from([bytes])],
  ["gzip", (bytes) => Readable.from([bytes]).pipe(createGunzip())],
  ["br", (bytes) => Readable.from([bytes]).pipe(createBrotliDecompress())],
  ["zstd", (bytes) => decompressZstd(Readable.from([bytes]), { chunkSize: prefixChunk })],
  ["xz", decodeXz],
  ["bzip2", (bytes) => decompressBzip2(Readable.from([bytes]))],
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
  return decompressXz(Readable.from([compressed]));
}
