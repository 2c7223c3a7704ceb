import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";

import { decodeClosureDocument, encodeClosureDocument } from "../../../src/closure-index/closure-document.ts";
import {
  checkClosureIndex,
  closureIndex,
  closureManifest,
  copiedClosureIndex,
  parseClosureIndex,
  parseClosureManifest,
} from "../../../src/closure-index/closure-index.ts";
import { sha256Digest } from "../../../src/oci/digest.ts";
import { describe } from "../../../src/oci/documents.ts";
import { demoDocument, smallDocument } from "../../closure-index/documents.ts";
import { mutateJson } from "../json-mutator.ts";
import { accepted, refused, type FuzzTarget, type Verdict } from "../target.ts";

const documents = [smallDocument, demoDocument("hello-app"), demoDocument("mixed-app-1.0")];
const pushed = documents.map((document) => {
  const bytes = encodeClosureDocument(document);
  const manifest = closureManifest({
    document: { digest: sha256Digest(bytes), size: bytes.length },
    signatures: [`test-1:${Buffer.alloc(64).toString("base64")}`],
  });
  return {
    document: decodeClosureDocument(bytes),
    manifest,
    indexes: [closureIndex, copiedClosureIndex].map((make) => make(document, describe(manifest)).bytes),
  };
});

/** What an index says but for the closure manifest, which the closure document does not know. */
function withoutManifest(bytes: Uint8Array): unknown {
  const json = JSON.parse(Buffer.from(bytes).toString()) as { manifests: unknown[] };
  return { ...json, manifests: json.manifests.slice(0, -1) };
}

/** An index or closure manifest is refused in words, or has one spelling; an index is of one closure alone. */
function check(input: Uint8Array): Verdict {
  try {
    const manifest = parseClosureManifest(input);
    assert.deepEqual(Buffer.from(closureManifest(manifest).bytes), Buffer.from(input));
    return accepted(`manifest ${manifest.signatures.length > 1}`);
  } catch (error) {
    refused(error, "CLOSURE_INDEX_INVALID");
  }
  try {
    const index = parseClosureIndex(input);
    const accepting = pushed.filter(({ document }) => {
      try {
        checkClosureIndex(index, document);
        return true;
      } catch (error) {
        refused(error, "CLOSURE_INDEX_INVALID");
        return false;
      }
    });
    assert.ok(accepting.length <= 1, "an index of two closures");
    const [one] = accepting;
    if (one === undefined) checkClosureIndex(index, smallDocument);
    else {
      const found = withoutManifest(input);
      assert.ok(one.indexes.some((bytes) => isDeepStrictEqual(found, withoutManifest(bytes))));
    }
    return accepted(`index ${index.closureManifest.size === one?.manifest.bytes.length}`);
  } catch (error) {
    return refused(error, "CLOSURE_INDEX_INVALID");
  }
}

/** Indexes and closure manifests of pushed closures. */
export const closureIndexes: FuzzTarget = {
  name: "closure-index",
  seeds: pushed.flatMap(({ indexes, manifest }) => [...indexes, manifest.bytes]),
  words: [
    '"manifests":[',
    '"platform":{"architecture":"arm64","os":"linux"}',
    '"artifactType":"application/vnd.nix-closure.closure.v1"',
    '"urls":["https://x"]',
    '"data":"e30="',
    '"annotations":{',
    "org.nix-closure.roots",
    "org.nix-closure.signatures",
    "sha256:",
    "__proto__",
    "\ufeff",
    "\xff",
  ],
  mutate: mutateJson,
  maxLength: 64 * 1024,
  maxMs: 1000,
  check,
};
