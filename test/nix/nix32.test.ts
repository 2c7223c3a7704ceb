import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { decodeNix32, encodeNix32, nix32Alphabet } from "../../src/nix/nix32.ts";
import { failureOf } from "./failure.ts";

const digitsOfNix32 = nix32Alphabet.split("");

/** As "nix hash file --base32" and "--base16" print hashes of the text "hello\n". */
const known: readonly (readonly [string, string])[] = [
  [
    "00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq",
    "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
  ],
  ["iwjz551fyw0cxcjgf4l6c879zabd6wpm", "f572d396fae9206628714fb2ce00f72e94f2258f"],
  ["4425hx5d1mc9y39llj4k4nm55i", "b1946ac92492d2347c6235b4d2611184"],
  ["", ""],
];

describe("nix32", () => {
  test.each(known)("%s is what Nix writes for %s", (text, hex) => {
    expect(encodeNix32(Buffer.from(hex, "hex"))).toBe(text);
    expect(Buffer.from(decodeNix32(text)).toString("hex")).toBe(hex);
  });

  it("gives back any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
        const text = encodeNix32(bytes);
        expect(text).toHaveLength(Math.ceil((bytes.length * 8) / 5));
        expect(decodeNix32(text)).toEqual(bytes);
      }),
    );
  });

  it("has one spelling for each value: what can be read is written the same", () => {
    const digits = fc.string({ unit: fc.constantFrom(...digitsOfNix32), maxLength: 60 });
    let readable = 0;
    fc.assert(
      fc.property(digits, (text) => {
        let bytes;
        try {
          bytes = decodeNix32(text);
        } catch {
          return;
        }
        readable++;
        expect(encodeNix32(bytes)).toBe(text);
      }),
      { numRuns: 1000 },
    );
    expect(readable).toBeGreaterThan(0);
  });

  test.each(digitsOfNix32)("52 digits that start with %s", (first) => {
    const text = first + "z".repeat(51);
    if (first === "0" || first === "1") expect(decodeNix32(text)).toHaveLength(32);
    else
      expect(failureOf(() => decodeNix32(text)).message).toContain("first digit is too large for 32 bytes");
  });

  test.each(["e", "o", "t", "u", "A", "Z", "-", " ", "\n", "\0", "é", "😀", "\u0131"])(
    "%j is no digit",
    (digit) => {
      const failure = failureOf(() => decodeNix32(`${digit}0`.padStart(4, "0").slice(-4)));
      expect(failure.code).toBe("HASH_INVALID");
      expect(failure.message).toContain("is no digit of nix32");
    },
  );

  test.each([1, 3, 6, 9, 11, 14])("no bytes have %i digits", (length) => {
    expect(failureOf(() => decodeNix32("0".repeat(length))).message).toContain(
      `no number of bytes has ${length} digits`,
    );
  });
});
