import { type Document, imageConfig, imageIndex, imageManifest } from "../oci/documents.ts";
import type { ImageRecord } from "./image-record.ts";

/** The JSON documents of an image: one config and one manifest for each architecture, over the same layer. */
export interface ImageDocuments {
  readonly index: Document;
  readonly manifests: readonly Document[];
  readonly configs: readonly Document[];
}

/**
 * In Go's words. A layer may hold programs for one of them, but says nothing of it, and containerd unpacks only what
 * is for the node's architecture.
 */
const architectures = ["amd64", "arm64"] as const;

/** Makes the documents of a record: the same bytes for the same record, always. */
export function imageDocuments(record: ImageRecord): ImageDocuments {
  const { layer, labels, createdBy, user } = record;
  const images = architectures.map((architecture) => {
    const config = imageConfig({
      architecture,
      layer,
      labels,
      createdBy,
      ...(user !== undefined && { user }),
    });
    return { architecture, config, document: imageManifest({ config, layer }) };
  });
  return {
    index: imageIndex({ manifests: images }),
    manifests: images.map(({ document }) => document),
    configs: images.map(({ config }) => config),
  };
}
