import { closureIndexInvalid } from "../errors.ts";
import { parseJsonDocument } from "./json-document.ts";
import { JsonFields } from "./json-fields.ts";

const what = "the index";

/**
 * Holds a fetched index against those that follow from a signed document, byte by byte, and says what differs from the
 * first of them.
 *
 * @param document what the other one follows from, such as `the signed closure document`.
 * @param claims names of annotations, in the order in which they are looked at.
 * @throws closureIndexInvalid
 */
export function requireIndex(
  found: Uint8Array,
  forms: readonly [Uint8Array, ...Uint8Array[]],
  document: string,
  claims: readonly string[],
): void {
  if (forms.some((form) => Buffer.compare(found, form) === 0)) return;
  const index = parseJsonDocument(found, what);
  const expected = parseJsonDocument(forms[0], what);
  requireSameEntries(index, expected, document);
  const annotations = expected.object("annotations");
  for (const name of claims) index.object("annotations").constant(name, annotations.text(name));
  throw closureIndexInvalid(`${what} has something that ${document} does not account for`);
}

function requireSameEntries(index: JsonFields, expected: JsonFields, document: string): void {
  const found = index.list("manifests", 0, Infinity);
  const wanted = expected.list("manifests", 0, Infinity);
  if (found.length !== wanted.length) {
    throw closureIndexInvalid(`${what} has ${found.length - 1} images, ${document} ${wanted.length - 1}`);
  }
  for (const [number, entry] of found.entries()) {
    const place = `entry ${number + 1} of the index`;
    requireSameEntry(new JsonFields(entry, place), new JsonFields(wanted[number], place), document);
  }
}

/** Says what differs between an entry and the one that the document has in its place; the rest, nobody looks at. */
function requireSameEntry(found: JsonFields, wanted: JsonFields, document: string): void {
  for (const name of ["mediaType", "digest"]) found.constant(name, wanted.text(name));
  if (found.optional("size") !== wanted.optional("size")) {
    throw found.wrong("size", `it is not ${String(wanted.optional("size"))}, as in ${document}`);
  }
  if (wanted.optional("platform") === undefined) return;
  const platform = wanted.object("platform");
  for (const name of ["architecture", "os"]) found.object("platform").constant(name, platform.text(name));
}
