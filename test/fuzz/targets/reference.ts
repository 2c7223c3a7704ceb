import assert from "node:assert/strict";

import { formatReference, parseReference } from "../../../src/oci/reference.ts";
import { accepted, refused, type FuzzTarget, type Verdict } from "../target.ts";

/** ReferenceRegexp of github.com/distribution/reference, as its documentation writes the grammar, with a host. */
const grammar = ((): RegExp => {
  const alphanumeric = "[a-z0-9]+";
  const path = `${alphanumeric}(?:(?:[._]|__|[-]+)${alphanumeric})*`;
  const label = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
  const host = `(?:${label}(?:\\.${label})*|\\[(?:[a-fA-F0-9:]+)\\])(?::[0-9]+)?`;
  const name = `(?<host>${host})/(?:${path}(?:/${path})*)`;
  return new RegExp(`^(?<name>${name})(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$`);
})();

/** Whether the grammar has a text, and its first component counts for a host there (splitDockerDomain). */
function isReference(text: string): boolean {
  const { host = "", name = "" } = grammar.exec(text)?.groups ?? {};
  const isHost = host.includes(".") || host.includes(":") || host === "localhost" || /[A-Z]/.test(host);
  return isHost && name.length <= 255;
}

/** The grammar decides, and what is taken apart gives the same text again. */
function check(input: Uint8Array): Verdict {
  const text = Buffer.from(input).toString();
  try {
    const reference = parseReference(text);
    assert.equal(formatReference(reference), text);
    assert.ok(isReference(text), "the grammar does not have it");
    return accepted(Object.keys(reference).join());
  } catch (error) {
    const verdict = refused(error, "REFERENCE_INVALID");
    // Long ones are not given to the grammar: its expression may take its time.
    assert.ok(text.length > 500 || !isReference(text), "the grammar has it");
    return verdict;
  }
}

/** References of images. */
export const reference: FuzzTarget = {
  name: "reference",
  seeds: [
    "localhost:5417/demo/path/4vlwxs24hwlvm23q063xvdmkzvlxjw1s:1",
    "localhost/base:1",
    "registry.example.com/nix/app",
    "[2001:db8::1]:5000/a/b__c/d--e/f.g:_T.-9",
    `r.io/a:b@sha256:${"0123456789abcdef".repeat(4)}`,
    `REGISTRY/app@sha256:${"f".repeat(64)}`,
    "127.0.0.1:80/x-y/z:latest",
  ].map((seed) => Buffer.from(seed)),
  words: [
    "/",
    ":",
    "@",
    "@sha256:",
    "localhost",
    "_",
    "__",
    "___",
    "--",
    ".",
    "..",
    "A",
    "[::1]",
    ":65536",
    "é",
  ],
  maxLength: 2000,
  maxMs: 500,
  check,
};
