import assert from "node:assert/strict";

import { parseListing } from "../../../src/nix/listing.ts";
import { demoFiles, readDemoFile } from "../../nix/demo-cache.ts";
import { mutateJson } from "../json-mutator.ts";
import { accepted, refused, type FuzzTarget, type Verdict } from "../target.ts";

/** A listing is read only if any reader of JSON finds the same type in it. */
function check(input: Uint8Array): Verdict {
  let type: string;
  try {
    ({ type } = parseListing(input));
  } catch (error) {
    return refused(error, "LISTING_INVALID");
  }
  const { version, root } = JSON.parse(Buffer.from(input).toString("latin1")) as {
    readonly version: unknown;
    readonly root: { readonly type: unknown; readonly entries: unknown; readonly target: unknown };
  };
  assert.equal(version, 1);
  assert.equal(type, root.type);
  assert.ok(["directory", "regular", "symlink"].includes(type));
  if (type === "directory") assert.equal(Object.prototype.toString.call(root.entries), "[object Object]");
  if (type === "symlink") assert.equal(typeof root.target, "string");
  return accepted(type);
}

/** `.ls` files. */
export const listing: FuzzTarget = {
  name: "listing",
  seeds: [
    ...demoFiles(".ls")
      .map(readDemoFile)
      .filter(({ length }) => length < 20_000),
    '{"version":1,"root":{"type":"directory","entries":{}}}',
    '{"version":1,"root":{"type":"regular","size":5,"executable":true,"narOffset":400}}',
    '{"root":{"target":"../x","type":"symlink"},"version":1}',
  ].map((seed) => Buffer.from(seed)),
  words: [
    '"version":1',
    '"root":',
    '"type":"directory"',
    '"type":"regular"',
    '"type":"symlink"',
    '"entries":{',
    '"target":"',
    '"__proto__":{"type":"directory","entries":{}}',
    '"toString":',
    "null",
    "1e999",
    "[[[[",
    "{",
    "}",
    "\\u0000",
    "\ufeff",
  ],
  mutate: mutateJson,
  maxLength: 32 * 1024,
  maxMs: 1000,
  check,
};
