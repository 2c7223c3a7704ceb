import { expect, it } from "vitest";

import { closureTag, closureTagOfHashes } from "../../src/closure-index/closure-tag.ts";
import { storeHash } from "../../src/nix/store-path.ts";
import { isTag } from "../../src/oci/reference.ts";
import { failureOf } from "../nix/failure.ts";
import { madePath } from "../patch/closures.ts";

const [a, b, c, d] = [0, 1, 2, 3].map((position) => madePath(position, "x"));

it("one root's tag is its hash part", () => {
  expect(closureTag([a!])).toBe("0".repeat(32));
});

it("several roots have one tag, in whatever order and however often they are named", () => {
  const tag = closureTag([c!, a!, b!, c!]);
  expect(tag).toBe([a!, b!, c!].map(storeHash).join("_"));
  expect(closureTagOfHashes([b!, a!, c!].map(storeHash))).toBe(tag);
  expect(isTag(tag)).toBe(true);
});

it("four roots are refused, with what to do", () => {
  expect(failureOf(() => closureTag([a!, b!, c!, d!]))).toMatchObject({
    code: "TOO_MANY_TOGETHER",
    message: expect.stringContaining("4 roots do not fit into one tag, at most 3 do; push them one by one"),
  });
});
