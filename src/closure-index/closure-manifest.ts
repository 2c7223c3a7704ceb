import { closureIndexInvalid } from "../errors.ts";
import { describe, type Document, encodeDocument, mediaTypes } from "../oci/documents.ts";
import { parseJsonDocument, requireForm } from "./json-document.ts";
import { JsonFields } from "./json-fields.ts";
import { type ManifestDescriptor, readDescriptor } from "./manifest-descriptor.ts";
import { closureArtifactType, closureDocumentMediaType } from "./media-types.ts";
import { readSignatures, signatureAnnotations } from "./signature-annotations.ts";

const what = "the closure manifest";

/** What the closure manifest holds. */
export interface ClosureManifest {
  /** Descriptor of the closure document's blob. */
  readonly document: ManifestDescriptor;
  /** `<key name>:<base64>` each. */
  readonly signatures: readonly string[];
}

/** The config of what is no image (OCI image-spec 1.1, manifest.md, "Guidance for an Empty Descriptor"): a blob, too. */
export const emptyConfig: Document = encodeDocument(mediaTypes.empty, {});

/** The manifest over a closure document; its config is {@link emptyConfig}. */
export function closureManifest({ document, signatures }: ClosureManifest): Document {
  return encodeDocument(mediaTypes.manifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    artifactType: closureArtifactType,
    config: describe(emptyConfig),
    layers: [{ mediaType: closureDocumentMediaType, digest: document.digest, size: document.size }],
    ...signatureAnnotations(signatures),
  });
}

/**
 * Reads a fetched closure manifest. Its signatures are not verified.
 *
 * @throws closureIndexInvalid
 */
export function parseClosureManifest(bytes: Uint8Array): ClosureManifest {
  const fields = parseJsonDocument(bytes, what);
  fields.constant("mediaType", mediaTypes.manifest);
  fields.constant("artifactType", closureArtifactType);
  const [layer, ...more] = fields.list("layers", 1, 1);
  if (more.length > 0) throw closureIndexInvalid(`${what} has more than one layer`);
  const descriptor = new JsonFields(layer, `${what}.layers[0]`);
  descriptor.constant("mediaType", closureDocumentMediaType);
  const manifest = { document: readDescriptor(descriptor), signatures: readSignatures(fields) };
  requireForm(bytes, closureManifest(manifest).bytes, what);
  return manifest;
}
