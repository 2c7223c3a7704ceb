import { closureIndexInvalid } from "../errors.ts";
import { parseStorePath, type StorePath } from "../nix/store-path.ts";
import { type Document, encodeDocument, mediaTypes } from "../oci/documents.ts";
import { maxTagRoots } from "./closure-tag.ts";
import { parseJsonDocument } from "./json-document.ts";
import { JsonFields } from "./json-fields.ts";
import { type ManifestDescriptor, readDescriptor } from "./manifest-descriptor.ts";
import { annotations, closureArtifactType } from "./media-types.ts";
import { type ClosureDocument, documentLimits } from "./pushed-closure.ts";
import { architectures, parseSystem, type System } from "./system.ts";

export {
  type ClosureManifest,
  closureManifest,
  emptyConfig,
  parseClosureManifest,
} from "./closure-manifest.ts";

const what = "the index";
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
  const platform = { architecture: architectures[document.system], os: "linux" };
  const entry = ({ digest, size }: ManifestDescriptor): object => ({
    mediaType: mediaTypes.manifest,
    digest,
    size,
  });
  return encodeDocument(mediaTypes.index, {
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    artifactType: closureArtifactType,
    manifests: [
      ...imagesOf(document).map((image) => ({ ...entry(image), platform })),
      { ...entry(closureManifest), artifactType: closureArtifactType },
    ],
    annotations: {
      [annotations.roots]: document.roots.join(" "),
      [annotations.system]: document.system,
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
  fields.constant("artifactType", closureArtifactType);
  const manifests = fields.list("manifests", 1, maxEntries);
  const last = new JsonFields(manifests.at(-1), "the last entry of the index");
  last.constant("artifactType", closureArtifactType);
  const claims = fields.object("annotations");
  return {
    bytes,
    closureManifest: readDescriptor(last),
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
 * its annotations those of the document, and there is nothing else.
 *
 * @throws closureIndexInvalid
 */
export function checkClosureIndex(index: FetchedIndex, document: ClosureDocument): void {
  const expected = closureIndex(document, index.closureManifest);
  if (Buffer.compare(index.bytes, expected.bytes) === 0) return;
  const [found, wanted] = [index.bytes, expected.bytes].map((bytes) => parseJsonDocument(bytes, what));
  if (found !== undefined && wanted !== undefined) {
    requireSameEntries(found, wanted);
    for (const name of [annotations.roots, annotations.system]) {
      found.object("annotations").constant(name, wanted.object("annotations").text(name));
    }
  }
  throw closureIndexInvalid(`${what} has something that the signed closure document does not account for`);
}

function requireSameEntries(index: JsonFields, expected: JsonFields): void {
  const found = index.list("manifests", 0, Infinity);
  const wanted = expected.list("manifests", 0, Infinity);
  if (found.length !== wanted.length) {
    throw closureIndexInvalid(
      `${what} has ${found.length - 1} images, the signed closure document ${wanted.length - 1}`,
    );
  }
  for (const [number, entry] of found.entries()) {
    const place = `entry ${number + 1} of the index`;
    requireSameEntry(new JsonFields(entry, place), new JsonFields(wanted[number], place));
  }
}

/** Says what differs between an entry and the one that the document has in its place; the rest, nobody looks at. */
function requireSameEntry(found: JsonFields, wanted: JsonFields): void {
  for (const name of ["mediaType", "digest"]) found.constant(name, wanted.text(name));
  if (found.optional("size") !== wanted.optional("size")) {
    throw found.wrong(
      "size",
      `it is not ${String(wanted.optional("size"))}, as in the signed closure document`,
    );
  }
  if (wanted.optional("platform") === undefined) return;
  const platform = wanted.object("platform");
  for (const name of ["architecture", "os"]) found.object("platform").constant(name, platform.text(name));
}
