import { describe, expect, it } from "vitest";

import {
  type ClosureStatement,
  signClosure,
  verifyClosure,
} from "../../src/closure-index/closure-signature.ts";
import { parseSecretKey, publicKeyOf, type SecretKey } from "../../src/nix/secret-key.ts";
import { formatSignature, parseSignature } from "../../src/nix/signature.ts";
import { parseDigest } from "../../src/oci/digest.ts";
import { secretKey } from "./documents.ts";

const key = publicKeyOf(secretKey);
const statement: ClosureStatement = {
  tag: "4vlwxs24hwlvm23q063xvdmkzvlxjw1s",
  system: "x86_64-linux",
  document: parseDigest(`sha256:${"ab".repeat(32)}`),
};
const signature = signClosure(secretKey, statement);

/** Another key under the name of the first one. */
const other = ((): SecretKey => {
  const bytes = Buffer.from(
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "hex",
  );
  return parseSecretKey(`test-1:${bytes.toString("base64")}`);
})();

describe("a signature", () => {
  it("is always the same for the same closure, so that a second push changes nothing", () => {
    expect(signature).toBe(
      "test-1:YUUd7pmY5fJlaColc+MDbWd3e8X+3RqYQQVG604JJGcOAJW9v+s6y8kSTlXkFlCtK3vCMicNLxlYDxgw2kz/AA==",
    );
    expect(signClosure(secretKey, statement)).toBe(signature);
  });

  it("is found, also by the second of two keys of one name", () => {
    expect(verifyClosure([signature], statement, [key])).toBe(key);
    expect(verifyClosure([signature], statement, [publicKeyOf(other), key])).toBe(key);
    expect(verifyClosure([signature], statement, [publicKeyOf(other)])).toBeUndefined();
  });

  it("counts beside wrong, foreign and malformed ones", () => {
    const wrong = signClosure(other, statement);
    const foreign = wrong.replace("test-1", "other-1");
    expect(verifyClosure(["", "x", "test-1:AAAA", wrong, foreign, signature], statement, [key])).toBe(key);
    expect(verifyClosure([wrong, foreign], statement, [key])).toBeUndefined();
    expect(verifyClosure([], statement, [key])).toBeUndefined();
    expect(verifyClosure([signature], statement, [])).toBeUndefined();
  });

  it("under another name does not count", () => {
    expect(verifyClosure([signature.replace("test-1", "test-2")], statement, [key])).toBeUndefined();
  });

  it.each<[string, Partial<ClosureStatement>]>([
    [
      "tag, so that no closure can be put in another one's place",
      { tag: "q0ningk88png4ipb9hm8ja6av167wdzk" },
    ],
    ["system", { system: "aarch64-linux" }],
    ["document", { document: parseDigest(`sha256:${"ab".repeat(31)}ac`) }],
  ])("covers the %s", (_, change) => {
    expect(verifyClosure([signature], { ...statement, ...change }, [key])).toBeUndefined();
  });

  it("fails with any bit of it flipped", () => {
    const { keyName, bytes } = parseSignature(signature)!;
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Uint8Array.from(bytes);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect(verifyClosure([formatSignature({ keyName, bytes: flipped })], statement, [key])).toBeUndefined();
    }
  });

  it("is looked for in the first 64 of the name alone, so that a hostile manifest cannot cost much", () => {
    const wrong = `test-1:${Buffer.alloc(64).toString("base64")}`;
    const repeat = (count: number): string[] => Array.from({ length: count }, () => wrong);
    expect(verifyClosure([...repeat(63), signature], statement, [key])).toBe(key);
    expect(verifyClosure([...repeat(64), signature], statement, [key])).toBeUndefined();
    const started = process.cpuUsage();
    expect(verifyClosure(repeat(40_000), statement, [key])).toBeUndefined();
    expect(process.cpuUsage(started).user / 1000).toBeLessThan(200);
  });
});
