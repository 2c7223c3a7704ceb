import { parseStorePath, type StorePath } from "../nix/store-path.ts";
import { type Document, encodeDocument, mediaTypes } from "../oci/documents.ts";
import { maxTagRoots } from "./closure-tag.ts";
import { requireIndex } from "./index-entries.ts";
import { parseJsonDocument } from "./json-document.ts";
import { JsonFields } from "./json-fields.ts";
import { type ManifestDescriptor, readDescriptor } from "./manifest-descriptor.ts";
import { annotations, closureArtifactType } from "./media-types.ts";
import { type ClosureDocument, documentLimits } from "./pushed-closure.ts";
import { imageEntry } from "./platform-index.ts";
import { parseSystem, type System } from "./system.ts";

export {
  type ClosureManifest,
  closureManifest,
  emptyConfig,
  parseClosureManifest,
} from "./closure-manifest.ts";

const what = "the index";
/** It names one document, and has as many signatures as are tried, of some hundred bytes each. Nobody has signed it itself. */
const maxClosureManifestBytes = 64 * 1024;
const maxEntries = documentLimits.paths + documentLimits.storeImages + 1;

/** A fetched index, as far as it can be read before the closure document is there. */
export interface FetchedIndex {
  readonly bytes: Uint8Array;
  /** Descriptor of the closure manifest: what to fetch next. */
  readonly closureManifest: ManifestDescriptor;
  /** As its annotations have them. */
  readonly roots: readonly StorePath[];
  readonly system: System;
}

/** The images of a closure, in the order of its index: store images, then path images. */
export function imagesOf({ storeImages, paths }: ClosureDocument): readonly ManifestDescriptor[] {
  return [...storeImages, ...paths].flatMap(({ manifest }) => manifest ?? []);
}

/** The index of a pushed closure: plain manifests, since some clients refuse an index in an index. */
export function closureIndex(document: ClosureDocument, closureManifest: ManifestDescriptor): Document {
  return indexOf(document, closureManifest, { artifactType: closureArtifactType });
}

/**
 * What {@link closureIndex} becomes where a program copies it that does not know `artifactType`, which came with OCI
 * image-spec 1.1: skopeo 1.9, Debian 12's, writes an index anew from what it knows of it, manifests as they are.
 */
export function copiedClosureIndex(document: ClosureDocument, closureManifest: ManifestDescriptor): Document {
  return indexOf(document, closureManifest, {});
}

function indexOf(
  document: ClosureDocument,
  { digest, size }: ManifestDescriptor,
  kind: { readonly artifactType?: string },
): Document {
  const { system } = document;
  return encodeDocument(mediaTypes.index, {
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    ...kind,
    manifests: [
      ...imagesOf(document).map((manifest) => imageEntry({ system, manifest })),
      { mediaType: mediaTypes.manifest, digest, size, ...kind },
    ],
    annotations: {
      [annotations.roots]: document.roots.join(" "),
      [annotations.system]: system,
    },
  });
}

/**
 * Reads a fetched index, which is not to be believed before {@link checkClosureIndex}.
 *
 * @throws closureIndexInvalid
 */
export function parseClosureIndex(bytes: Uint8Array): FetchedIndex {
  const fields = parseJsonDocument(bytes, what);
  fields.constant("mediaType", mediaTypes.index);
  const isCopied =
    fields.optional("artifactType") === undefined && fields.optional("annotations") !== undefined;
  if (!isCopied) fields.constant("artifactType", closureArtifactType);
  const manifests = fields.list("manifests", 1, maxEntries);
  const last = new JsonFields(manifests.at(-1), "the last entry of the index");
  if (!isCopied) last.constant("artifactType", closureArtifactType);
  const claims = fields.object("annotations");
  return {
    bytes,
    closureManifest: readDescriptor(last, maxClosureManifestBytes),
    roots: claims.parsed(annotations.roots, parseRoots),
    system: claims.parsed(annotations.system, parseSystem),
  };
}

function parseRoots(text: string): readonly StorePath[] {
  const words = text.split(" ");
  if (words.length > maxTagRoots) throw new Error(`at most ${maxTagRoots} are allowed`);
  return words.map(parseStorePath);
}

/**
 * Holds a fetched index against a closure document whose signature was verified: its entries are the document's images,
 * its annotations those of the document, and there is nothing else. It may be a {@link copiedClosureIndex}.
 *
 * @throws closureIndexInvalid
 */
export function checkClosureIndex(index: FetchedIndex, document: ClosureDocument): void {
  const expected = closureIndex(document, index.closureManifest);
  const copied = copiedClosureIndex(document, index.closureManifest);
  const claims = [annotations.roots, annotations.system];
  requireIndex(index.bytes, [expected.bytes, copied.bytes], "the signed closure document", claims);
}
