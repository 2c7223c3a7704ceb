import type { NixClosureError } from "../errors.ts";
import type { NarVisitor } from "../nix/nar-reader.ts";
import type { DecodedNar } from "./decoded-nar.ts";
import { addNar, type LayerPart, type LayerSink } from "./layer.ts";
import type { NarAttempt } from "./nars-ahead.ts";

/**
 * Adds a NAR to a layer from one of its locations. When this throws, a part of it may have been added.
 *
 * @param visit hears what the NAR holds, and passes it on.
 */
export async function addNarFrom(
  sink: LayerSink,
  part: LayerPart,
  { location, open }: NarAttempt<DecodedNar>,
  visit?: (next: NarVisitor) => NarVisitor,
): Promise<void> {
  const nar = await open();
  try {
    const { contentAddress = [] } = location;
    const contentAddresses = [...new Set(part.contentAddresses.concat(contentAddress))];
    await addNar(sink, nar.chunks, location, { name: part.name, contentAddresses, ...(visit && { visit }) });
  } finally {
    nar.destroy();
  }
}

const ours: ReadonlySet<string> = new Set([
  "DISK_FAILED",
  "FILE_UNWRITABLE",
  "BLOB_BUDGET_EXHAUSTED",
  "INTERNAL",
]);

/** Whether the error is not of the location, so that no other one helps. */
export function isOurs(error: NixClosureError): boolean {
  return ours.has(error.code);
}

/**
 * Of the errors of all locations, the one to tell: with one that can pass, trying again makes sense; else the first
 * cache's is the most telling.
 */
export function mostTelling(errors: readonly NixClosureError[], { storePath }: LayerPart): Error {
  return errors.find((error) => error.temporary) ?? errors[0] ?? new Error(`${storePath} has no location`);
}
