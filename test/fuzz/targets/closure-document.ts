import assert from "node:assert/strict";

import {
  type ClosureDocument,
  decodeClosureDocument,
  documentLimits,
  encodeClosureDocument,
} from "../../../src/closure-index/closure-document.ts";
import { closureTag } from "../../../src/closure-index/closure-tag.ts";
import { isTag } from "../../../src/oci/reference.ts";
import { demoDocument, smallDocument } from "../../closure-index/documents.ts";
import { mutateJson } from "../json-mutator.ts";
import { accepted, refused, type FuzzTarget, type Verdict } from "../target.ts";

/** A document is refused in words, or has one spelling, and all that its readers rest on. */
function check(input: Uint8Array): Verdict {
  let document: ClosureDocument;
  try {
    document = decodeClosureDocument(input);
  } catch (error) {
    return refused(error, "CLOSURE_INDEX_INVALID");
  }
  assert.deepEqual(Buffer.from(encodeClosureDocument(document)), Buffer.from(input));
  const { roots, paths, storeImages } = document;
  const types = new Map(paths.map(({ storePath, type }) => [storePath, type]));
  assert.equal(types.size, paths.length, "each path once");
  assert.ok(paths.length <= documentLimits.paths);
  assert.ok(roots.length > 0 && isTag(closureTag(roots)));
  for (const path of [...roots, ...paths.flatMap(({ references }) => references)])
    assert.ok(types.has(path), "closed under references");
  for (const { type, manifest, narSize } of paths) {
    assert.equal(manifest !== undefined, type === "directory");
    assert.ok(Number.isSafeInteger(narSize) && narSize > 0);
  }
  for (const { own } of storeImages)
    for (const path of own) assert.equal(types.get(path), "directory", "a volume for each of own");
  return accepted(`${roots.length} ${storeImages.length} ${paths.length > 2}`);
}

/** Documents of pushed closures. */
export const closureDocument: FuzzTarget = {
  name: "closure-document",
  seeds: [
    smallDocument,
    demoDocument("hello-app"),
    demoDocument("mixed-app-1.0"),
    demoDocument("hello-app", "mixed-app-1.0"),
  ].map(encodeClosureDocument),
  words: [
    '"path":"',
    '"references":[',
    '"manifest":{"digest":"sha256:',
    '"ca":"text:sha256:',
    '"own":[',
    '"type":"symlink"',
    "__proto__",
    "-0",
    "1e3",
    "9007199254740992",
    "\\ud800",
    "\ufeff",
    "\xff",
  ],
  mutate: mutateJson,
  maxLength: 64 * 1024,
  maxMs: 1000,
  check,
};
