import { type Document, imageConfig, imageIndex, imageManifest } from "../oci/documents.ts";
import type { ImageRecord } from "./image-record.ts";

/** The JSON documents of an image: one config and one manifest for each architecture, over the same layers. */
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
  const { layer, mountPoints, labels, createdBy, user } = record;
  const layers = [
    { ...layer, createdBy },
    ...(mountPoints === undefined ? [] : [{ ...mountPoints, createdBy: `${createdBy}, mount points` }]),
  ];
  const images = architectures.map((architecture) => {
    const config = imageConfig({
      architecture,
      layers,
      labels,
      ...(user !== undefined && { user }),
    });
    return { architecture, config, document: imageManifest({ config, layers }) };
  });
  return {
    index: imageIndex({ manifests: images }),
    manifests: images.map(({ document }) => document),
    configs: images.map(({ config }) => config),
  };
}
