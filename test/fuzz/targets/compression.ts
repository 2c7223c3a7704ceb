import assert from "node:assert/strict";
import { Readable } from "node:stream";

import { decompress } from "../../../src/compression/decompress.ts";
import { decodePrefix } from "../../../src/resolver/nar-prefix.ts";
import {
  brotli,
  bzip2,
  gzip,
  programs,
  skippableFrame,
  xz,
  zstd,
  zstdFrames,
} from "../../compression/compress.ts";
import { cut } from "../../nix/nar-recorder.ts";
import { accepted, refused, type FuzzTarget, type Verdict } from "../target.ts";

/** The first byte of an input says which it is; what follows is the data. */
const names = ["zstd", "xz", "gzip", "br", "bzip2"] as const;
const narSize = 4096;
/** Output after which it is enough, as a conversion has it by NarSize; one chunk of a decoder may be on its way. */
const enough = 1024 * 1024;

async function unpack(compression: string, data: Uint8Array, size: number): Promise<Buffer | Error> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const input = Readable.from(cut(data, [size]), { objectMode: false });
  const signal = new AbortController().signal;
  try {
    const output = decompress(compression, input, { storePath: "/x", narSize, programs: {}, signal });
    for await (const chunk of output) {
      chunks.push(Buffer.from(chunk));
      length += chunk.length;
      if (length > enough) break;
    }
  } catch (error) {
    return error as Error;
  }
  return Buffer.concat(chunks).subarray(0, enough);
}

/** Data is refused, or gives the same in chunks of any size, and its first bytes are the first bytes of it. */
async function check(input: Uint8Array): Promise<Verdict> {
  const name = names[(input[0] ?? 0) % names.length] ?? "zstd";
  const data = Uint8Array.from(input.subarray(1));
  const output = await unpack(name, data, data.length || 1);
  const again = await unpack(name, data, 1 + ((input[1] ?? 0) % 50) * 20);
  if (output instanceof Error || again instanceof Error) {
    const [read] = [output, again].filter((one) => Buffer.isBuffer(one));
    // Of what is wrong beyond that, one of them may not have heard yet.
    assert.ok(read === undefined || read.length === enough, "refused only in one of two cuts");
    return refused(output instanceof Error ? output : again, "DECOMPRESSION_FAILED");
  }
  assert.ok(again.equals(output), "the size of chunks makes a difference");
  const prefix = await decodePrefix(data, name);
  const common = Math.min(512, output.length);
  assert.ok(output.subarray(0, common).equals(prefix.subarray(0, common)), "another prefix");
  return accepted(name);
}

const texts = [
  Buffer.from("nix-archive-1 ".repeat(200)),
  Buffer.alloc(3000),
  Buffer.from(Array.from({ length: 2000 }, (_, n) => (n * n * 2_654_435_761) >>> 24)),
  Buffer.alloc(0),
  // Blocks of one repeated byte have a form of their own.
  Buffer.alloc(400_000),
];
const compressed: readonly (readonly [(typeof names)[number], Uint8Array])[] = texts.flatMap((text) => [
  ["zstd", zstd(text, { checksum: true })] as const,
  ["zstd", Buffer.concat([zstdFrames(text, 700), zstd(text)])] as const,
  ["zstd", Buffer.concat([skippableFrame(text), zstd(text)])] as const,
  ["gzip", Buffer.concat([gzip(text), gzip(text)])] as const,
  ["br", brotli(text)] as const,
  ...(programs.xz === undefined ? [] : [["xz", xz(text)] as const]),
  ...(programs.bzip2 === undefined ? [] : [["bzip2", Buffer.concat([bzip2(text), bzip2(text)])] as const]),
]);

/** Compressed data, in every compression, by the built-in decoders. */
export const compression: FuzzTarget = {
  name: "compression",
  seeds: compressed.map(([name, data]) => Buffer.concat([Buffer.of(names.indexOf(name)), data])),
  words: ["28b52ffd", "502a4d18", "fd377a585a00", "1f8b08", "425a6839", "314159265359", "177245385090"].map(
    (hex) => Buffer.from(hex, "hex"),
  ),
  maxLength: 16 * 1024,
  maxMs: 3000,
  check,
};
