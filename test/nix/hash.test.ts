import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { decodeHash, formatNarHash, narHashBytes, parseHash, parseSha256 } from "../../src/nix/hash.ts";
import { failureOf } from "./failure.ts";

/** SHA-256 of "hello\n", in the forms that "nix hash file" prints. */
const hex = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
const nix32 = "00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq";
const base64 = "WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=";

describe("parseSha256", () => {
  test.each([
    ["nix32", `sha256:${nix32}`],
    ["hexadecimal", `sha256:${hex}`],
    ["hexadecimal in capitals", `sha256:${hex.toUpperCase()}`],
    ["base64", `sha256:${base64}`],
    ["SRI", `sha256-${base64}`],
    ["SRI without padding", `sha256-${base64.slice(0, -1)}`],
  ])("reads %s", (_, text) => {
    const hash = parseSha256(text);
    expect(hash).toBe(`sha256:${nix32}`);
    expect(Buffer.from(narHashBytes(hash)).toString("hex")).toBe(hex);
  });

  test.each([
    ["nothing", "", "does not start with its algorithm"],
    ["no algorithm", nix32, "does not start with its algorithm"],
    ["another algorithm", "sha1:iwjz551fyw0cxcjgf4l6c879zabd6wpm", "it is sha1, wanted is sha256"],
    ["an unknown algorithm", `sha3:${nix32}`, 'algorithm "sha3" is not known'],
    ["a name of Object's", `constructor:${nix32}`, 'algorithm "constructor" is not known'],
    ["an algorithm in capitals", `SHA256:${nix32}`, "does not start with its algorithm"],
    ["no digits", "sha256:", "no spelling of sha256 has 0 characters"],
    ["a digit too few", `sha256:${nix32.slice(1)}`, "has 51 characters"],
    ["a digit too many", `sha256:0${nix32}`, "has 53 characters"],
    ["an overflow", `sha256:2${nix32.slice(1)}`, "first digit is too large"],
    ["hexadecimal with g", `sha256:g${hex.slice(1)}`, "neither hexadecimal, nix32 nor base64"],
    ["base64 with -", `sha256:-${base64.slice(1)}`, "neither hexadecimal, nix32 nor base64"],
    ["base64 without padding outside of SRI", `sha256:${base64.slice(0, -1)}`, "has 43 characters"],
    ["base64 with spare bits", `sha256:${base64.replace("gM=", "gN=")}`, "neither hexadecimal"],
    ["SRI of 16 bytes", "sha256-sZRqySSS0jR8YjW00mERhA==", "it has 16 bytes, sha256 has 32"],
    ["SRI in hexadecimal", `sha256-${hex}`, "it has 48 bytes"],
    ["a trailing space", `sha256:${nix32} `, "has 53 characters"],
    ["a newline for a digit", `sha256:${hex.slice(1)}\n`, "neither hexadecimal"],
  ])("refuses %s", (_, text, reason) => {
    const failure = failureOf(() => parseSha256(text));
    expect(failure.code).toBe("HASH_INVALID");
    expect(failure.message).toContain(reason);
  });

  it("has one canonical form for any hash", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
        const canonical = formatNarHash(bytes);
        expect(narHashBytes(canonical)).toEqual(bytes);
        const buffer = Buffer.from(bytes);
        for (const text of [
          canonical,
          `sha256:${buffer.toString("hex")}`,
          `sha256:${buffer.toString("base64")}`,
          `sha256-${buffer.toString("base64")}`,
        ]) {
          expect(parseSha256(text)).toBe(canonical);
        }
      }),
    );
  });
});

describe("other hashes", () => {
  test.each([
    ["md5:4425hx5d1mc9y39llj4k4nm55i", "md5", "b1946ac92492d2347c6235b4d2611184"],
    ["md5-sZRqySSS0jR8YjW00mERhA==", "md5", "b1946ac92492d2347c6235b4d2611184"],
    ["sha1:iwjz551fyw0cxcjgf4l6c879zabd6wpm", "sha1", "f572d396fae9206628714fb2ce00f72e94f2258f"],
    [`blake3:${"0".repeat(64)}`, "blake3", "0".repeat(64)],
    [`sha512:${"0".repeat(103)}`, "sha512", "0".repeat(128)],
  ])("%s is read", (text, algorithm, expected) => {
    const hash = parseHash(text);
    expect(hash.algorithm).toBe(algorithm);
    expect(Buffer.from(hash.bytes).toString("hex")).toBe(expected);
  });

  it("are told apart by the number of digits alone", () => {
    for (const digits of [hex, nix32, base64]) {
      expect(Buffer.from(decodeHash("sha256", digits)).toString("hex")).toBe(hex);
    }
    expect(failureOf(() => decodeHash("sha1", hex)).message).toContain(
      "no spelling of sha1 has 64 characters",
    );
  });

  it("of another size have no canonical form", () => {
    expect(failureOf(() => formatNarHash(new Uint8Array(20))).message).toContain("it has 20 bytes, not 32");
  });
});
