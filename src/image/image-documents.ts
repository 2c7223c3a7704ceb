import type { Digest } from "../oci/digest.ts";
import {
  type Document,
  imageConfig,
  imageIndex,
  imageManifest,
  type LayerMediaType,
} from "../oci/documents.ts";
import type { ImageRecord } from "./image-record.ts";
import type { ImageText } from "./layer-plan.ts";
import type { Layer } from "./layer-writer.ts";

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
export function imageDocuments(
  record: ImageText & Pick<ImageRecord, "mountPoints" | "user"> & { readonly layers: readonly NamedLayer[] },
): ImageDocuments {
  const { layers, mountPoints, user } = record;
  const images = architectures.map((architecture) => ({
    architecture,
    ...imageOf({ architecture, layers, mountPoints, text: record, ...(user !== undefined && { user }) }),
  }));
  return {
    index: imageIndex({
      manifests: images.map(({ architecture, manifest }) => ({ architecture, document: manifest })),
    }),
    manifests: images.map(({ manifest }) => manifest),
    configs: images.map(({ config }) => config),
  };
}

/** A layer as an image's documents name it; one that is not compressed is tar, and its digest its diffID. */
export interface NamedLayer extends Layer {
  readonly mediaType?: LayerMediaType;
  readonly diffID?: Digest;
}

/** The documents of an image for one architecture. */
export function imageOf(options: {
  readonly architecture: string;
  /** With content, the lowest first. */
  readonly layers: readonly NamedLayer[];
  /** The layer above them. */
  readonly mountPoints?: NamedLayer | undefined;
  readonly text: ImageText;
  readonly user?: string;
}): { readonly config: Document; readonly manifest: Document } {
  const { architecture, mountPoints, text, user } = options;
  const layers = [...options.layers, ...(mountPoints === undefined ? [] : [mountPoints])];
  const config = imageConfig({
    architecture,
    layers: layers.map((layer) => ({
      digest: layer.diffID ?? layer.digest,
      createdBy: layer === mountPoints ? `${text.createdBy}, mount points` : text.createdBy,
    })),
    labels: text.labels,
    ...(user !== undefined && { user }),
  });
  return { config, manifest: imageManifest({ config, layers }) };
}
