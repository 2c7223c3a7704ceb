import { expect, test } from "vitest";

import { parseDigest } from "../../src/oci/digest.ts";
import { isKnownToClient, rangeApplies } from "../../src/registry/conditions.ts";

const digest = parseDigest(`sha256:${"0".repeat(64)}`);
const other = `sha256:${"1".repeat(64)}`;

test.each([
  [undefined, false],
  ["", false],
  ["*", true],
  [" * ", true],
  [`"${digest}"`, true],
  [`W/"${digest}"`, true],
  [digest, true],
  [`"${other}", "${digest}"`, true],
  [`"${other}",W/"${digest}"`, true],
  [`"a,b" , "${digest}"`, true],
  [`"${other}"`, false],
  [`"${other}", W/"${other}"`, false],
  [`"a,${digest},b"`, false],
  [`"${digest}`, true],
  ['"*"', false],
  [`w/"${digest}"`, true],
])("If-None-Match %j", (field, known) => {
  expect(isKnownToClient(field, digest)).toBe(known);
});

test.each([
  [undefined, true],
  [`"${digest}"`, true],
  [` "${digest}" `, true],
  [`W/"${digest}"`, false],
  [digest, false],
  [`"${other}"`, false],
  ["Thu, 01 Jan 1970 00:00:01 GMT", false],
])("If-Range %j", (field, applies) => {
  expect(rangeApplies(field, digest)).toBe(applies);
});
