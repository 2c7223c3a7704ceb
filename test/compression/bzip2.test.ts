import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";

import fc from "fast-check";
import { describe, expect, it, test } from "vitest";

import { decompressBzip2 } from "../../src/compression/bzip2.ts";
import { cut } from "../nix/nar-recorder.ts";
import { longRun } from "./bzip2-writer.ts";
import { bzip2, programs } from "./compress.ts";

async function decode(bytes: Uint8Array, size = bytes.length || 1): Promise<Buffer> {
  return Buffer.concat(await Readable.from(decompressBzip2(Readable.from(cut(bytes, [size])))).toArray());
}

describe.skipIf(programs.bzip2 === undefined)("what the program bzip2 wrote", () => {
  const texts: readonly (readonly [string, Uint8Array])[] = [
    ["nothing", Buffer.of()],
    ["a byte", Buffer.from("a")],
    ["a run of 3, which is not shortened", Buffer.from("aaab")],
    ["a run of 4, with a count of zero", Buffer.from("aaaab")],
    [
      "a run of 5, 255 + 4 and more",
      Buffer.concat([5, 258, 259, 260, 263, 264].map((n) => Buffer.alloc(n, n))),
    ],
    ["all bytes", Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))],
    ["random bytes in several blocks", randomBytes(250_000)],
    ["zeros in several blocks", Buffer.alloc(6_000_000)],
    ["words", Buffer.from("some words and more words ".repeat(20_000))],
  ];
  test.each(texts)("of %s is read", async (_, text) => {
    for (const level of ["-1", "-9"]) {
      const compressed = bzip2(text, level);
      expect((await decode(compressed)).equals(text)).toBe(true);
      expect((await decode(Buffer.concat([compressed, compressed]), 1000)).length).toBe(2 * text.length);
    }
  });

  it("is read whatever it is", async () => {
    const runs = fc
      .array(fc.tuple(fc.nat(255), fc.integer({ min: 1, max: 600 })), { maxLength: 40 })
      .map((parts) => Buffer.concat(parts.map(([byte, length]) => Buffer.alloc(length, byte))));
    await fc.assert(
      fc.asyncProperty(fc.oneof(runs, fc.uint8Array({ maxLength: 2000 })), async (text) => {
        expect((await decode(bzip2(text), 37)).equals(text)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  test("gives its first bytes before all of a block is written out", async () => {
    const blocks = decompressBzip2(Readable.from([bzip2(Buffer.alloc(40_000_000), "-9")]));
    const first = await blocks.next();
    expect(first.value?.length).toBe(256 * 1024);
    await blocks.return();
  });

  test("with one bit changed is refused, or was changed where nothing is told", async () => {
    const text = Buffer.from("some words and more words ".repeat(20));
    const compressed = bzip2(text);
    let refused = 0;
    for (let bit = 0; bit < compressed.length * 8; bit++) {
      const changed = Buffer.from(compressed);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      try {
        // A larger block size, a table that is not used, what fills the last byte.
        expect((await decode(changed)).equals(text)).toBe(true);
      } catch (error) {
        expect(error).not.toMatchObject({ name: "AssertionError" });
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(compressed.length * 7);
  });

  test("of two streams with something between or after them is refused", async () => {
    const compressed = bzip2(Buffer.from("text"));
    await expect(decode(Buffer.concat([compressed, Buffer.alloc(8), compressed]))).rejects.toThrow(
      "there is data after its end",
    );
  });
});

describe("a run", () => {
  test.each([21, 32, 33, 63, 64, 120])(
    "of %i digits is longer than a block, and ends there",
    async (digits) => {
      await expect(decode(longRun(digits))).rejects.toThrow("compressed data is corrupt");
    },
  );

  test("of 19 digits fits; here its checksum is wrong", async () => {
    await expect(decode(longRun(19))).rejects.toThrow("its checksum is wrong");
  });
});

test.each([
  ["nothing", ""],
  ["the start of a header", "425a68"],
  ["a header alone", "425a6839"],
  ["a level of 0", "425a6830177245385090000000"],
  ["no header", "0123456789"],
  ["neither a block nor an end", "425a683900000000000000000000"],
  ["an end with a wrong checksum", "425a683917724538509000000001"],
  ["a block without bytes", "425a6839314159265359000000000000000000000000"],
])("%s is refused", async (_, hex) => {
  await expect(decode(Buffer.from(hex, "hex"))).rejects.toThrow(Error);
});
