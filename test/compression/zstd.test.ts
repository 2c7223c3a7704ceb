import { Readable } from "node:stream";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decompressZstd } from "../../src/compression/zstd.ts";
import { skippableFrame, zstd, zstdFrames } from "./compress.ts";

async function decode(bytes: Uint8Array, chunkSize = bytes.length): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += chunkSize) chunks.push(bytes.subarray(at, at + chunkSize));
  return collect(Readable.from(chunks));
}

async function collect(compressed: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Readable.from(decompressZstd(compressed, { maxWindow: 2 ** 23 })).toArray());
}

describe("zstd of any frames", () => {
  test("decodes to what was compressed, however it is cut", async () => {
    const frame = fc.record({
      data: fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc.nat(400_000).map((size) => new Uint8Array(size)),
      ),
      checksum: fc.boolean(),
      skipped: fc.option(fc.uint8Array({ maxLength: 20 }), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(frame, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 5000 }),
        async (frames, size) => {
          const compressed = frames.flatMap(({ data, checksum, skipped }) => [
            ...(skipped === undefined ? [] : [skippableFrame(skipped)]),
            zstd(data, { checksum }),
          ]);
          const expected = Buffer.concat(frames.map(({ data }) => data));
          expect((await decode(Buffer.concat(compressed), size)).equals(expected)).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("of every kind of header", async () => {
    const data = Buffer.from(Array.from({ length: 200_000 }, (_, n) => n * n));
    for (const size of [0, 1, 255, 256, 65_791, 65_792, 200_000]) {
      expect((await decode(zstd(data.subarray(0, size)), 7)).equals(data.subarray(0, size))).toBe(true);
    }
  });

  test("of no frame at all is refused", async () => {
    await expect(decode(Buffer.alloc(0), 1)).rejects.toThrow("unexpected end of file");
  });

  test("of many small frames is read, and refused where there are only frames", async () => {
    const data = Buffer.alloc(200_000, "some text that is long enough");
    expect(await decode(zstdFrames(data, 200))).toEqual(data);
    const empty = Buffer.concat(Array.from({ length: 1100 }, () => zstd(Buffer.alloc(0))));
    await expect(decode(empty)).rejects.toThrow("it has too many frames, 1034 in 9900 bytes");
  });

  const good = zstdFrames(Buffer.alloc(100, "data"), 30);

  test.for<[string, Uint8Array, string]>([
    ["in a magic number", Buffer.concat([good, good.subarray(0, 3)]), "unexpected end of file"],
    ["in a header", good.subarray(0, 5), "unexpected end of file"],
    ["in a block", good.subarray(0, 11), "unexpected end of file"],
    ["in a skippable frame", skippableFrame(Buffer.alloc(10)).subarray(0, 12), "unexpected end of file"],
    ["in the size of a skippable frame", skippableFrame(Buffer.alloc(10)).subarray(0, 6), "unexpected end"],
    ["by other data", Buffer.concat([good, Buffer.from("tail!")]), "no frame where one should start"],
  ])("that ends %s is refused", async ([, bytes, why]) => {
    await expect(decode(bytes)).rejects.toThrow(why);
  });

  test("that is damaged is refused", async () => {
    const damaged = Buffer.from(zstd(Buffer.alloc(100_000, "some data "), { checksum: true }));
    damaged[damaged.length - 1]! ^= 1;
    await expect(decode(damaged)).rejects.toThrow();
  });

  test("ends with the error of its input", async () => {
    const input = (async function* () {
      yield good.subarray(0, 10);
      throw new Error("broken off");
    })();
    await expect(collect(input)).rejects.toThrow("broken off");
  });
});
