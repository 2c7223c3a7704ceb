import { describe, expect, test } from "vitest";
import { decodeBase64 } from "../../src/nix/base64.ts";

describe("base64", () => {
  test.for([
    ["", []],
    ["AA==", [0]],
    ["AA", [0]],
    ["AAEC", [0, 1, 2]],
    ["+/8=", [251, 255]],
  ] as const)("%s is read", ([text, bytes]) => {
    expect(decodeBase64(text)).toEqual(Uint8Array.from(bytes));
  });

  test.for(["A", "AB==", "AA=", "AAE_", "A A=", "AAEC\n", "===="])("%j is refused", (text) => {
    expect(decodeBase64(text)).toBeUndefined();
  });

  test("what is kept of a small value is not the block that it was cut from", () => {
    expect(decodeBase64("AAEC")!.buffer.byteLength).toBe(3);
  });
});
