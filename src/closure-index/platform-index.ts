import { type Document, encodeDocument, mediaTypes } from "../oci/documents.ts";
import type { ManifestDescriptor } from "./manifest-descriptor.ts";
import { architectures, type System } from "./system.ts";

/** An image for the nodes of one system. */
export interface SystemImage {
  readonly system: System;
  readonly manifest: ManifestDescriptor;
}

/** The entry of an image in an index: a plain manifest with its platform. */
export function imageEntry({ system, manifest: { digest, size } }: SystemImage): object {
  const platform = { architecture: architectures[system], os: "linux" };
  return { mediaType: mediaTypes.manifest, digest, size, platform };
}

/** One image for nodes of several systems: an index over the image of each, of which a node pulls its own. */
export function platformIndex(images: readonly SystemImage[]): Document {
  return encodeDocument(mediaTypes.index, {
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    manifests: images.map(imageEntry),
  });
}
