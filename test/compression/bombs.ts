/** Compressed data that is made to do harm, for all compressions that are read. */
import zlib from "node:zlib";

import { brotli, bzip2, gzip, programs, skippableFrame, xz, zstd } from "./compress.ts";

/** Data and the compression that it is said to be in. */
export interface Bomb {
  readonly name: string;
  readonly compression: string;
  readonly bytes: () => Buffer;
}

const mebibyte = 2 ** 20;
const times = (count: number, bytes: Uint8Array): Buffer =>
  Buffer.concat(Array.from({ length: count }, () => bytes));

/** 64 MiB of zeros, by compression; each made once. */
const zeros = new Map<string, Buffer>();

function zerosIn(name: string, compress: (data: Uint8Array) => Buffer): Buffer {
  const known = zeros.get(name) ?? compress(Buffer.alloc(64 * mebibyte));
  zeros.set(name, known);
  return known;
}

/** Some bytes, and after them up to 4 GiB of zeros. */
export function bombsAfter(start: Buffer): readonly Bomb[] {
  const parts = (compression: string, compress: (data: Uint8Array) => Buffer): Bomb => ({
    name: compression,
    compression,
    bytes: () => Buffer.concat([compress(start), times(64, zerosIn(compression, compress))]),
  });
  const all = [
    parts("zstd", (data) => zstd(data)),
    parts("gzip", gzip),
    parts("xz", (data) => xz(data)),
    parts("bzip2", (data) => bzip2(data)),
    // There is no way to put streams of brotli together.
    {
      name: "br",
      compression: "br",
      bytes: () => brotli(Buffer.concat([start, Buffer.alloc(256 * mebibyte)])),
    },
  ];
  return all.filter(({ compression }) => isPossible(compression));
}

/** Headers that ask for more memory than a decoder may have. */
export const greedy: readonly Bomb[] = [
  { name: "zstd, a window of 256 MiB", compression: "zstd", bytes: () => zstdWindow(18 << 3) },
  { name: "zstd, a window of 3.75 TiB", compression: "zstd", bytes: () => zstdWindow(0xff) },
  { name: "zstd, a single segment of 2^63 bytes", compression: "zstd", bytes: () => zstdSegment(2n ** 63n) },
  { name: "zstd, a single segment of 2^32 bytes", compression: "zstd", bytes: () => zstdSegment(2n ** 32n) },
  { name: "xz, a dictionary of 4 GiB", compression: "xz", bytes: () => xzDictionary(40) },
  { name: "xz, a dictionary of 128 MiB", compression: "xz", bytes: () => xzDictionary(30) },
  { name: "br, a large window", compression: "br", bytes: largeBrotliWindow },
].filter(({ compression }) => isPossible(compression));

/** A megabyte of nothing, in as many pieces as the format allows. */
export const hollow: readonly Bomb[] = [
  { name: "zstd, empty frames", compression: "zstd", bytes: () => times(110_000, zstd(Buffer.alloc(0))) },
  {
    name: "zstd, skippable frames",
    compression: "zstd",
    bytes: () => times(120_000, skippableFrame(Buffer.of())),
  },
  { name: "gzip, empty members", compression: "gzip", bytes: () => times(50_000, gzip(Buffer.alloc(0))) },
  { name: "xz, empty streams", compression: "xz", bytes: () => times(30_000, xz(Buffer.alloc(0))) },
  {
    name: "bzip2, empty streams",
    compression: "bzip2",
    bytes: () => times(70_000, bzip2(Buffer.alloc(0), "-9")),
  },
].filter(({ compression }) => isPossible(compression));

function isPossible(compression: string): boolean {
  return (
    (compression !== "xz" || programs.xz !== undefined) &&
    (compression !== "bzip2" || programs.bzip2 !== undefined)
  );
}

/** A frame with this window descriptor and one empty block. */
function zstdWindow(descriptor: number): Buffer {
  return Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, descriptor, 1, 0, 0]);
}

/** A frame of one segment of so many bytes, which is its window, and one empty block. */
function zstdSegment(size: bigint): Buffer {
  const frame = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]);
  frame.writeBigUInt64LE(size, 5);
  return frame;
}

/** A stream whose block header says this size of dictionary (xz file format 1.2, 5.3.1). */
function xzDictionary(size: number): Buffer {
  const stream = xz(Buffer.alloc(1000));
  const block = 12;
  const length = ((stream[block] ?? 0) + 1) * 4;
  const at = stream.indexOf(Buffer.of(0x21, 0x01), block) + 2;
  stream[at] = size;
  stream.writeUInt32LE(zlib.crc32(stream.subarray(block, block + length - 4)), block + length - 4);
  return stream;
}

function largeBrotliWindow(): Buffer {
  const params = {
    [zlib.constants.BROTLI_PARAM_LARGE_WINDOW]: 1,
    [zlib.constants.BROTLI_PARAM_LGWIN]: 30,
    // The lowest ones do not know such windows.
    [zlib.constants.BROTLI_PARAM_QUALITY]: 5,
  };
  return zlib.brotliCompressSync(Buffer.alloc(1000, "some text"), { params });
}
