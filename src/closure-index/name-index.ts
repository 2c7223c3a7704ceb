import { closureIndexInvalid } from "../errors.ts";
import { describe, type Document, encodeDocument, mediaTypes } from "../oci/documents.ts";
import { emptyConfig } from "./closure-manifest.ts";
import { type ClosureName, parseClosureName } from "./closure-name.ts";
import { requireIndex } from "./index-entries.ts";
import { parseJsonDocument, requireForm } from "./json-document.ts";
import { JsonFields } from "./json-fields.ts";
import { type ManifestDescriptor, readDescriptor } from "./manifest-descriptor.ts";
import {
  annotations,
  closureDocumentMediaType,
  nameArtifactType,
  nameDocumentMediaType,
} from "./media-types.ts";
import { imagesOfName, type NameDocument } from "./name-document.ts";
import { imageEntry } from "./platform-index.ts";
import { readSignatures, signatureAnnotations } from "./signature-annotations.ts";
import { architectures } from "./system.ts";

const what = "the name's manifest";
const maxSystems = Object.keys(architectures).length;
/** A store image and a profile for each system, and the manifest. */
const maxEntries = 2 * maxSystems + 1;

/** What the manifest of a name holds. */
export interface NameManifest {
  /** Descriptor of the name document's blob. */
  readonly document: ManifestDescriptor;
  /** Those of the closure documents, in the order of the systems: so the registry keeps them, and a copy has them. */
  readonly closures: readonly ManifestDescriptor[];
  /** `<key name>:<base64>` each. */
  readonly signatures: readonly string[];
}

/** A fetched index of a name, as far as it can be read before the name document is there. */
export interface FetchedNameIndex {
  readonly bytes: Uint8Array;
  /** Descriptor of the name's manifest: what to fetch next. */
  readonly manifest: ManifestDescriptor;
  /** As its annotation has it. */
  readonly name: ClosureName;
}

/** The manifest over a name document and the closure documents that it names; its config is the empty one. */
export function nameManifest({ document, closures, signatures }: NameManifest): Document {
  const layer = (mediaType: string, { digest, size }: ManifestDescriptor): object => ({
    mediaType,
    digest,
    size,
  });
  return encodeDocument(mediaTypes.manifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    artifactType: nameArtifactType,
    config: describe(emptyConfig),
    layers: [
      layer(nameDocumentMediaType, document),
      ...closures.map((closure) => layer(closureDocumentMediaType, closure)),
    ],
    ...signatureAnnotations(signatures),
  });
}

/**
 * Reads a fetched manifest of a name. Its signatures are not verified.
 *
 * @throws closureIndexInvalid
 */
export function parseNameManifest(bytes: Uint8Array): NameManifest {
  const fields = parseJsonDocument(bytes, what);
  fields.constant("mediaType", mediaTypes.manifest);
  fields.constant("artifactType", nameArtifactType);
  const [document, ...closures] = fields
    .list("layers", 2, maxSystems + 1)
    .map((layer, index) => readDescriptor(new JsonFields(layer, `${what}.layers[${index}]`)));
  if (document === undefined) throw closureIndexInvalid(`${what} has no layer`);
  const manifest = { document, closures, signatures: readSignatures(fields) };
  requireForm(bytes, nameManifest(manifest).bytes, what);
  return manifest;
}

/** The index of a name: the plain manifests of the images that it stands for, and its own manifest at the end. */
export function nameIndex(document: NameDocument, manifest: ManifestDescriptor): Document {
  return indexOf(document, manifest, { artifactType: nameArtifactType });
}

/** What {@link nameIndex} becomes where a program copies it that does not know `artifactType`, as skopeo 1.9 does. */
export function copiedNameIndex(document: NameDocument, manifest: ManifestDescriptor): Document {
  return indexOf(document, manifest, {});
}

function indexOf(
  document: NameDocument,
  { digest, size }: ManifestDescriptor,
  kind: { readonly artifactType?: string },
): Document {
  return encodeDocument(mediaTypes.index, {
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    ...kind,
    manifests: [
      ...imagesOfName(document).map(([system, image]) => imageEntry({ system, manifest: image })),
      { mediaType: mediaTypes.manifest, digest, size, ...kind },
    ],
    annotations: {
      [annotations.name]: document.name,
      [annotations.systems]: document.closures.map(({ system }) => system).join(" "),
    },
  });
}

/**
 * Reads a fetched index of a name, which is not to be believed before {@link checkNameIndex}.
 *
 * @throws closureIndexInvalid
 */
export function parseNameIndex(bytes: Uint8Array): FetchedNameIndex {
  const fields = parseJsonDocument(bytes, "the index");
  fields.constant("mediaType", mediaTypes.index);
  const isCopied =
    fields.optional("artifactType") === undefined && fields.optional("annotations") !== undefined;
  if (!isCopied) fields.constant("artifactType", nameArtifactType);
  const manifests = fields.list("manifests", 1, maxEntries);
  const last = new JsonFields(manifests.at(-1), "the last entry of the index");
  if (!isCopied) last.constant("artifactType", nameArtifactType);
  const name = fields.object("annotations").parsed(annotations.name, parseClosureName);
  return { bytes, manifest: readDescriptor(last), name };
}

/**
 * Holds a fetched index and manifest of a name against its document, whose signature was verified: their entries are the
 * document's, and there is nothing else. The index may be a {@link copiedNameIndex}.
 *
 * @throws closureIndexInvalid
 */
export function checkNameIndex(
  index: FetchedNameIndex,
  manifest: NameManifest,
  document: NameDocument,
): void {
  const claims = [annotations.name, annotations.systems];
  const made = nameIndex(document, index.manifest);
  const copied = copiedNameIndex(document, index.manifest);
  requireIndex(index.bytes, [made.bytes, copied.bytes], "the signed name document", claims);
  const found = manifest.closures.map(({ digest, size }) => `${digest} ${size}`).join();
  const wanted = document.closures.map((closure) => `${closure.document.digest} ${closure.document.size}`);
  if (found !== wanted.join()) {
    throw closureIndexInvalid(`${what} has other closure documents than the signed name document`);
  }
}
