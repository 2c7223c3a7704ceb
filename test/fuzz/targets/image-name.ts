import assert from "node:assert/strict";

import { isRepository, isTag, parseReference } from "../../../src/oci/reference.ts";
import { closureCheck, decodeDecision, encodeDecision } from "../../../src/plan/decision.ts";
import {
  formatImageName,
  imageReference,
  parseImageName,
  parseRepository,
} from "../../../src/plan/image-name.ts";
import { demoClosure, demoPath, demoTypes } from "../../patch/closures.ts";
import { accepted, refused, type FuzzTarget, type Verdict } from "../target.ts";

const closure = demoClosure(demoPath("mixed-app-1.0"));

/** A name has one spelling, is legal to registries' clients, and its decision too has one spelling. */
function check(input: Uint8Array): Verdict {
  const text = Buffer.from(input).toString();
  const colon = text.lastIndexOf(":");
  const [repository, tag] = [text.slice(0, Math.max(colon, 0)), text.slice(colon + 1)];
  try {
    const name = parseImageName(repository, tag);
    assert.deepEqual(formatImageName(name), { repository, tag });
    assert.equal(parseRepository(repository)?.kind, name.kind);
    assert.ok(isTag(tag));
    // One of more than six roots parses; nothing makes it, and no client can ask for it.
    if (repository.length < 230) {
      assert.ok(isRepository(repository));
      const { host } = parseReference(imageReference("localhost:5417", name));
      assert.equal(host, "localhost:5417");
    }
    return name.kind === "store" ? decide(name.decision) : accepted(name.kind);
  } catch (error) {
    return refused(error, "IMAGE_NAME_INVALID");
  }
}

function decide(decision: string): Verdict {
  try {
    const own = decodeDecision(decision, closure, demoTypes);
    assert.match(closureCheck(1, closure, decision), /^[0-9a-f]{16}$/);
    const encoded = encodeDecision(closure, own, demoTypes);
    assert.deepEqual(
      decodeDecision(encoded ?? "", closure, demoTypes),
      own,
      "the shortest form means the same",
    );
    return accepted(decision.slice(0, 1));
  } catch (error) {
    return refused(error, "IMAGE_NAME_INVALID");
  }
}

const [a, b, c] = [
  "00000000000000000000000000000000",
  "4vlwxs24hwlvm23q063xvdmkzvlxjw1s",
  "q0ningk88png4ipb9hm8ja6av167wdzk",
];
const check16 = "0123456789abcdef";

/** Repositories and tags of our own images. */
export const imageName: FuzzTarget = {
  name: "image-name",
  seeds: [
    "base:1",
    `demo/path/${b}:1`,
    `my-cache-2/path/${a}:17`,
    `base/closure/${b}:1-a-${check16}`,
    `demo/closure/${a}_${b}_${c}:999999999-n-${check16}`,
    `demo/closure/${a}:1-o000103-${check16}`,
    `demo/closure/${b}_${c}:1-p00-${check16}`,
  ].map((seed) => Buffer.from(seed)),
  words: [
    "/path/",
    "/closure/",
    "_",
    "-",
    ":",
    ":1",
    "00",
    "02",
    "0A",
    "-o",
    "-p",
    "-n-",
    "-a-",
    a,
    c,
    check16,
  ],
  maxLength: 2000,
  maxMs: 500,
  check,
};
