import { internal, pushedClosureTooLarge } from "../errors.ts";
import { decodeClosureDocument } from "./closure-document-reader.ts";
import { writeClosureDocument } from "./closure-document-writer.ts";
import { maxManifestBytes } from "./manifest-descriptor.ts";
import { type ClosureDocument, documentLimits } from "./pushed-closure.ts";

export { decodeClosureDocument } from "./closure-document-reader.ts";
export { type ManifestDescriptor, maxManifestBytes } from "./manifest-descriptor.ts";
export { type ClosureDocument, documentLimits, type PushedPath, type StoreImage } from "./pushed-closure.ts";

/**
 * The bytes of a document: the same for the same closure, in whatever order its parts are given.
 *
 * @throws pushedClosureTooLarge
 */
export function encodeClosureDocument(document: ClosureDocument): Uint8Array {
  const bytes = writeClosureDocument(document);
  const { length } = document.paths;
  if (length > documentLimits.paths || bytes.length > maxManifestBytes) {
    throw pushedClosureTooLarge(length, bytes.length, documentLimits.paths, maxManifestBytes);
  }
  try {
    decodeClosureDocument(bytes);
  } catch (cause) {
    throw internal("the closure document could not be read again").causedBy(cause);
  }
  return bytes;
}
