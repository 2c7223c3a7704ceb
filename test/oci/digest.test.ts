import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { digestHex, parseDigest, sha256Digest } from "../../src/oci/digest.ts";

const emptyHex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

test("the digest of no bytes is the well-known one", () => {
  expect(sha256Digest(new Uint8Array())).toBe(`sha256:${emptyHex}`);
  expect(digestHex(sha256Digest(new Uint8Array()))).toBe(emptyHex);
});

test("every digest that is made can be read", () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const digest = sha256Digest(bytes);
      expect(parseDigest(digest)).toBe(digest);
    }),
  );
});

describe("refuses", () => {
  test.each([
    ["nothing", ""],
    ["no algorithm", emptyHex],
    ["no digits", "sha256:"],
    ["words", "sha256:baddigeststring"],
    ["63 digits", `sha256:${emptyHex.slice(1)}`],
    ["65 digits", `sha256:${emptyHex}0`],
    ["upper case", `sha256:${emptyHex.toUpperCase()}`],
    ["an upper-case algorithm", `SHA256:${emptyHex}`],
    ["another algorithm", `sha512:${emptyHex}${emptyHex}`],
    ["a newline at the end", `sha256:${emptyHex}\n`],
    ["space around", ` sha256:${emptyHex}`],
    ["a path", `sha256:../${emptyHex}`],
  ])("%s", (_, text) => {
    expect(() => parseDigest(text)).toThrow(expect.objectContaining({ code: "DIGEST_INVALID" }));
  });
});
