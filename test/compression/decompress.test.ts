import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import zlib from "node:zlib";

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { cacheUnavailable } from "../../src/errors.ts";
import { decompress } from "../../src/compression/decompress.ts";
import type { Programs } from "../../src/compression/programs.ts";
import {
  brotli,
  bzip2,
  compressWith,
  gzip,
  programs,
  skippableFrame,
  xz,
  zstd,
  zstdFrames,
} from "./compress.ts";

/** Bytes that shrink a little, over several blocks of every format. */
const data = Buffer.concat([randomBytes(100_000), Buffer.alloc(200_000, "closure "), randomBytes(50_000)]);

interface Case {
  readonly compression: string;
  readonly form: string;
  readonly bytes: () => Buffer;
}

const half = data.length / 2;
const first = data.subarray(0, half);
const second = data.subarray(half);

const cases: readonly Case[] = [
  { compression: "none", form: "plain", bytes: () => data },
  { compression: "zstd", form: "one frame", bytes: () => zstd(data) },
  { compression: "zstd", form: "one frame with checksum", bytes: () => zstd(data, { checksum: true }) },
  { compression: "zstd", form: "many frames", bytes: () => zstdFrames(data, 10_000) },
  {
    compression: "zstd",
    form: "frames to be skipped between and at both ends",
    bytes: () =>
      Buffer.concat([
        skippableFrame(randomBytes(5)),
        zstd(first, { checksum: true }),
        skippableFrame(new Uint8Array()),
        skippableFrame(randomBytes(100_000)),
        zstd(second),
        skippableFrame(randomBytes(3)),
      ]),
  },
  {
    compression: "zstd",
    form: "an empty frame in between",
    bytes: () => Buffer.concat([zstd(first), zstd(new Uint8Array()), zstd(second)]),
  },
  { compression: "gzip", form: "one member", bytes: () => gzip(data) },
  { compression: "gzip", form: "two members", bytes: () => Buffer.concat([gzip(first), gzip(second)]) },
  { compression: "br", form: "one stream", bytes: () => brotli(data) },
  { compression: "xz", form: "one stream", bytes: () => xz(data) },
  { compression: "xz", form: "many blocks", bytes: () => xz(data, "--block-size=50000") },
  { compression: "xz", form: "two streams", bytes: () => Buffer.concat([xz(first), xz(second)]) },
  {
    compression: "xz",
    form: "stream padding",
    bytes: () => Buffer.concat([xz(first), Buffer.alloc(8), xz(second), Buffer.alloc(4)]),
  },
  { compression: "xz", form: "CRC32", bytes: () => xz(data, "--check=crc32") },
  { compression: "xz", form: "the largest preset", bytes: () => xz(data, "-9e") },
  { compression: "bzip2", form: "one stream", bytes: () => bzip2(data) },
  { compression: "bzip2", form: "the largest blocks", bytes: () => bzip2(data, "-9") },
  { compression: "bzip2", form: "two streams", bytes: () => Buffer.concat([bzip2(first), bzip2(second)]) },
  {
    compression: "bzip2",
    form: "a run of zeros",
    bytes: () => Buffer.concat([bzip2(data), bzip2(Buffer.alloc(3_000_000))]),
  },
  { compression: "", form: "no Compression line, which means bzip2", bytes: () => bzip2(data) },
];

const available = cases
  .filter(
    ({ compression }) =>
      (compression !== "xz" || programs.xz !== undefined) &&
      (!["bzip2", ""].includes(compression) || programs.bzip2 !== undefined),
  )
  .map((one) => {
    const compressed = one.bytes();
    return { ...one, bytes: () => compressed };
  });

const decoders: readonly [string, Programs][] = [
  ["library", {}],
  ["program", programs],
];

describe.each(decoders)("a NAR in every compression, by %s", (_, using) => {
  it.each(available)("$compression, $form, in chunks of any size", async ({ compression, form, bytes }) => {
    const expected = form === "a run of zeros" ? Buffer.concat([data, Buffer.alloc(3_000_000)]) : data;
    const compressed = bytes();
    for (const size of [compressed.length, 65_536, 1_021]) {
      const output = await unpack(compression, chunked(compressed, size), using);
      expect(sha256(output)).toBe(sha256(expected));
    }
  });

  it.each(available)(
    "$compression, $form: bytes after the end are refused",
    async ({ compression, bytes }) => {
      // Uncompressed data ends where the NAR does; the NAR reader sees to that.
      if (compression === "none") return;
      for (const garbage of [Buffer.from("garbage"), Buffer.alloc(3), randomBytes(30_000)]) {
        const compressed = Buffer.concat([bytes(), garbage]);
        for (const size of [compressed.length, 1_021]) {
          const unpacked = unpack(compression, chunked(compressed, size), using);
          await expect(unpacked).rejects.toMatchObject({ code: "DECOMPRESSION_FAILED" });
        }
      }
    },
  );

  it.each(available)("$compression, $form: truncation is refused", async ({ compression, bytes }) => {
    if (compression === "none") return;
    const compressed = bytes();
    // Not inside frames that hold nothing but at their end: those can be missing without anybody noticing.
    for (const length of [0, 1, 5, 200, Math.floor(compressed.length / 3), compressed.length - 1]) {
      const unpacked = unpack(compression, chunked(compressed.subarray(0, length), 65_536), using);
      await expect(unpacked, `${length} bytes`).rejects.toMatchObject({ code: "DECOMPRESSION_FAILED" });
    }
  });

  it.each(["zstd", "xz", "gzip", "br", "bzip2"])(
    "%s: bytes of another format are refused",
    async (compression) => {
      const other = compression === "gzip" ? zstd(data) : gzip(data);
      await expect(unpack(compression, chunked(other, 65_536), using)).rejects.toMatchObject({
        code: "DECOMPRESSION_FAILED",
        status: 502,
      });
    },
  );

  it("a broken input comes through as it is, not as damaged data", async () => {
    for (const { compression, bytes } of available) {
      const compressed = bytes();
      const broken = Readable.from(
        (function* () {
          yield compressed.subarray(0, 1000);
          throw cacheUnavailable("https://cache.example", "a NAR", "connection reset");
        })(),
      );
      await expect(unpack(compression, broken, using), compression).rejects.toMatchObject({
        code: "CACHE_UNAVAILABLE",
      });
    }
  });

  it("the input is destroyed when the reader stops early", async () => {
    for (const { compression, bytes } of available) {
      const input = new Readable({ read: () => undefined });
      // Enough for a first chunk of output; then it falls silent, as a cache can.
      const times = compression === "br" ? 1 : 10;
      for (let time = 0; time < times; time++) input.push(bytes());
      for await (const chunk of decompress(compression, input, options(using))) {
        expect(chunk.length).toBeGreaterThan(0);
        break;
      }
      expect(input.destroyed, compression).toBe(true);
    }
  });

  it("a window or dictionary beyond the limit is refused", async () => {
    // Frame header: no single segment, window descriptor of 2^28; then an empty raw block.
    const zstdWindow = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 18 << 3, 1, 0, 0]);
    await expect(unpack("zstd", chunked(zstdWindow, 100), using)).rejects.toThrow(
      /268435456|too much memory/,
    );
    const zstdSegment = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0]);
    await expect(unpack("zstd", chunked(zstdSegment, 100), using)).rejects.toThrow(
      /4294967296|too much memory/,
    );
    if (programs.xz === undefined) return;
    const largest = xz(data, "--lzma2=preset=0,dict=64MiB");
    expect(sha256(await unpack("xz", chunked(largest, 65_536), using))).toBe(sha256(data));
    const larger = xz(data, "--lzma2=preset=0,dict=96MiB");
    await expect(unpack("xz", chunked(larger, 65_536), using)).rejects.toThrow(/[Mm]emory|dictionary/);
  });
});

it.skipIf(programs.zstd === undefined)(
  "zstd with the window of its highest level is read by both",
  async () => {
    const compressed = compressWith(programs.zstd ?? "", ["-c", "-q", "-1", "--long=27"], data);
    for (const [, using] of decoders) {
      expect(sha256(await unpack("zstd", chunked(compressed, 65_536), using))).toBe(sha256(data));
    }
  },
);

it("zstd frames are found whatever their sizes and wherever the chunks end", async () => {
  const frame = fc.record({
    data: fc.uint8Array({ maxLength: 300 }),
    checksum: fc.boolean(),
    skippable: fc.boolean(),
    level: fc.constantFrom(-5, 1, 3, 19),
    sized: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(frame, { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 1, max: 40 }),
      async (frames, size) => {
        const compressed = frames.map((one) =>
          one.skippable
            ? skippableFrame(one.data)
            : zlib.zstdCompressSync(one.data, {
                params: {
                  [zlib.constants.ZSTD_c_checksumFlag]: one.checksum ? 1 : 0,
                  [zlib.constants.ZSTD_c_compressionLevel]: one.level,
                  [zlib.constants.ZSTD_c_contentSizeFlag]: one.sized ? 1 : 0,
                },
              }),
        );
        const kept = frames.filter(({ skippable }) => !skippable);
        if (kept.length === 0) return;
        const output = await unpack("zstd", chunked(Buffer.concat(compressed), size), {});
        expect(output.equals(Buffer.concat(kept.map((one) => one.data)))).toBe(true);
      },
    ),
    { numRuns: 60 },
  );
});

it("more input than any compressor would make of the NAR is refused", async () => {
  const frame = skippableFrame(Buffer.alloc(100_000));
  const endless = Readable.from(
    (function* () {
      for (;;) yield frame;
    })(),
  );
  await expect(unpack("zstd", endless, {})).rejects.toThrow(/more than/);
});

it.each(["lzip", "lz4", "compress", "xz2", "constructor"])(
  "compression %s is not supported, in words",
  async (compression) => {
    const unpacked = unpack(compression, chunked(data, 1000), {});
    await expect(unpacked).rejects.toMatchObject({ code: "COMPRESSION_UNSUPPORTED" });
    await expect(unpacked).rejects.toThrow(/\/nix\/store\/x.*zstd, xz, gzip, br, bzip2 and none/);
  },
);

it("a program that cannot be started is an error in words", async () => {
  const unpacked = unpack("zstd", chunked(zstd(data), 1000), { zstd: "/does/not/exist/zstd" });
  await expect(unpacked).rejects.toMatchObject({ code: "DECOMPRESSION_FAILED" });
  await expect(unpacked).rejects.toThrow(/\/does\/not\/exist\/zstd/);
});

it("a program that fails without words is an error with its exit code", async () => {
  const unpacked = unpack("bzip2", chunked(data, 1000), { bzip2: "/bin/false" });
  await expect(unpacked).rejects.toThrow(/\/bin\/false ended with 1/);
});

it.each([
  ["zstd", zstd(data)],
  ["gzip", gzip(data)],
  ["br", brotli(data)],
])("a chunk of %s is given back when the next one is asked for", async (compression, compressed) => {
  const chunks = decompress(compression, chunked(compressed, compressed.length), options({}));
  const first = await chunks.next();
  expect(Buffer.from(first.value!).equals(data.subarray(0, first.value!.length))).toBe(true);
  await chunks.next();
  expect(first.value).toHaveLength(0);
  await chunks.return();
});

function options(using: Programs): Parameters<typeof decompress>[2] {
  return {
    storePath: "/nix/store/x",
    // Programs are used from here on.
    narSize: Math.max(10 * data.length, 2 ** 26),
    programs: using,
    signal: new AbortController().signal,
  };
}

async function unpack(compression: string, input: Readable, using: Programs): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of decompress(compression, input, options(using))) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

function chunked(bytes: Uint8Array, size: number): Readable {
  return Readable.from(
    (function* () {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    })(),
    { objectMode: false },
  );
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
