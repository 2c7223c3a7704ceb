import assert from "node:assert/strict";

import { decodeNameDocument, encodeNameDocument } from "../../../src/closure-index/name-document.ts";
import {
  checkNameIndex,
  copiedNameIndex,
  nameIndex,
  nameManifest,
  parseNameIndex,
  parseNameManifest,
} from "../../../src/closure-index/name-index.ts";
import { sha256Digest } from "../../../src/oci/digest.ts";
import { describe } from "../../../src/oci/documents.ts";
import { makeNamedImages } from "../../patch/named-closures.ts";
import { mutateJson } from "../json-mutator.ts";
import { accepted, refused, type FuzzTarget, type Verdict } from "../target.ts";

const pushed = [
  { systems: ["aarch64-linux", "x86_64-linux"], profile: true } as const,
  { systems: ["x86_64-linux"], profile: false } as const,
].map((stands) => {
  const { document } = makeNamedImages("registry.example.com/nix", "web", stands);
  const bytes = encodeNameDocument(document);
  const manifest = nameManifest({
    document: { digest: sha256Digest(bytes), size: bytes.length },
    closures: document.closures.map((closure) => closure.document),
    signatures: [`test-1:${Buffer.alloc(64).toString("base64")}`],
  });
  return { document, bytes, manifest, index: nameIndex(document, describe(manifest)) };
});

/** A document, a manifest or an index of a name is refused in words, or has one spelling, the index two. */
function check(input: Uint8Array): Verdict {
  for (const read of [readDocument, readManifest]) {
    try {
      return accepted(read(input));
    } catch (error) {
      refused(error, "CLOSURE_INDEX_INVALID");
    }
  }
  try {
    const index = parseNameIndex(input);
    // Of the names that there are, the one whose manifest it says.
    const said = pushed.find(({ manifest }) => manifest.digest === index.manifest.digest) ?? pushed[0];
    const { document, manifest } = said as (typeof pushed)[0];
    checkNameIndex(index, parseNameManifest(manifest.bytes), document);
    const forms = [nameIndex, copiedNameIndex].map((make) => make(document, index.manifest).bytes);
    assert.ok(forms.some((form) => Buffer.compare(form, input) === 0));
    return accepted("index");
  } catch (error) {
    return refused(error, "CLOSURE_INDEX_INVALID");
  }
}

function readDocument(input: Uint8Array): string {
  const document = decodeNameDocument(input);
  assert.deepEqual(Buffer.from(encodeNameDocument(document)), Buffer.from(input));
  return `document ${document.closures.length}`;
}

function readManifest(input: Uint8Array): string {
  const manifest = parseNameManifest(input);
  assert.deepEqual(Buffer.from(nameManifest(manifest).bytes), Buffer.from(input));
  return `manifest ${manifest.closures.length}`;
}

/** Documents, manifests and indexes of names. */
export const names: FuzzTarget = {
  name: "names",
  seeds: pushed.flatMap(({ bytes, index, manifest }) => [bytes, index.bytes, manifest.bytes]),
  words: [
    '"closures":[',
    '"platform":{"architecture":"arm64","os":"linux"}',
    '"artifactType":"application/vnd.nix-closure.name.v1"',
    '"system":"aarch64-linux"',
    '"profile":{',
    "org.nix-closure.name",
    "org.nix-closure.systems",
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
