import type { Readable } from "node:stream";

import { compressionUnsupported, decompressionFailed } from "../errors.ts";
import { decompressBzip2 } from "./bzip2.ts";
import { freeMemory } from "./free-memory.ts";
import { decompressWithProgram } from "./program.ts";
import { decompressXz } from "./xz.ts";
import { decompressBrotli, decompressGzip } from "./zlib.ts";
import { decompressZstd, maxZstdWindow } from "./zstd.ts";
import { CompressedInput } from "./compressed-input.ts";
import type { Programs } from "./programs.ts";

/** Turns compressed bytes into plain ones; fails for truncated input and for anything after its end. */
type Decoder = (input: CompressedInput, signal: AbortSignal) => AsyncGenerator<Uint8Array, void, undefined>;

/** Memory for xz (bytes): its level 9 needs 65 MiB. The WebAssembly decoder has the same limit built in. */
const maxXzMemory = 80 * 2 ** 20;

/** Input that is taken whatever the NAR's size (bytes). */
const minInput = 2 ** 20;

/**
 * NarSize (bytes) below which zstd's library is used. The program has a core of its own, but to start it takes some
 * milliseconds of another one, for the tables of this process' pages are copied; where many NARs are converted, none is idle.
 */
const worthProgram = 2 ** 26;

/**
 * Decompresses a NAR. Each chunk is there until the next one is asked for.
 *
 * @param compression as the narinfo names it; empty means bzip2 (Nix, src/libstore/nar-info.cc).
 * @param input is destroyed when the result ends, whatever way.
 * @param options.signal kills a program; the input is the caller's to destroy.
 * @param options.narSize bytes; the input may be a little larger (what cannot be compressed), not more.
 * @throws compressionUnsupported
 * @throws decompressionFailed for damaged or truncated data, or data after the end; what the input itself fails with
 *   comes through unchanged.
 */
export async function* decompress(
  compression: string,
  input: Readable,
  options: {
    readonly storePath: string;
    readonly narSize: number;
    readonly programs: Programs;
    readonly signal: AbortSignal;
  },
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    const decoder = chooseDecoder(compression, options);
    if (decoder === undefined) throw compressionUnsupported(options.storePath, compression);
    const bytes = new CompressedInput(input, minInput + 2 * options.narSize);
    try {
      yield* decoder(bytes, options.signal);
    } catch (cause) {
      if (bytes.failure !== undefined) throw bytes.failure.error;
      throw decompressionFailed(compression, cause instanceof Error ? cause.message : String(cause)).causedBy(
        cause,
      );
    }
  } finally {
    input.destroy();
  }
}

/** A program's decoder if there is one, for it has a core of its own, else a library's. */
function chooseDecoder(
  compression: string,
  { programs, narSize }: { readonly programs: Programs; readonly narSize: number },
): Decoder | undefined {
  switch (compression) {
    case "none":
      return (input) => input[Symbol.asyncIterator]();
    case "zstd":
      return programs.zstd === undefined || narSize < worthProgram
        ? (input) => givingBack(decompressZstd(input))
        : withProgram("zstd", programs.zstd);
    case "xz":
      return programs.xz === undefined ? decompressXz : withProgram("xz", programs.xz);
    case "gzip":
      return (input) => givingBack(decompressGzip(input));
    case "br":
      return (input) => givingBack(decompressBrotli(input));
    case "bzip2":
    case "":
      return programs.bzip2 === undefined ? decompressBzip2 : withProgram("bzip2", programs.bzip2);
    default:
      return undefined;
  }
}

/** Gives the memory of each chunk back when the next one is asked for. */
async function* givingBack(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) {
    yield chunk;
    freeMemory(chunk);
  }
}

const filters = {
  // zstd reads gzip and others too, and passes over what it does not know: the first bytes are looked at before.
  zstd: {
    args: ["--decompress", "--stdout", "--quiet", "--no-progress", `--memory=${maxZstdWindow}`],
    starts: isZstd,
  },
  // One thread: a decoder with several takes memory for each, and conversions run side by side anyway.
  xz: {
    args: ["--decompress", "--stdout", "--format=xz", "--threads=1", `--memlimit-decompress=${maxXzMemory}`],
  },
  bzip2: { args: ["--decompress", "--stdout"] },
} as const;

function withProgram(kind: keyof typeof filters, program: string): Decoder {
  return (input, signal) => decompressWithProgram(program, filters[kind], input, signal);
}

/** A frame of zstd, or one to be skipped (RFC 8878, 3.1). */
function isZstd(start: Uint8Array): boolean {
  if (start.length < 4) return false;
  const magic = Buffer.from(start).readUInt32LE(0);
  return magic === 0xfd2fb528 || magic >>> 4 === 0x184d2a5;
}
