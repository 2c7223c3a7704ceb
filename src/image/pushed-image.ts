import type { StorePath } from "../nix/store-path.ts";
import type { Document } from "../oci/documents.ts";
import type { CompressedLayer } from "./compressed-layer-writer.ts";
import { imageOf, type NamedLayer } from "./image-documents.ts";
import { layerMediaTypes } from "./layer-compression.ts";
import { pathImageText, storeImageText } from "./layer-plan.ts";

/** The documents of an image for one architecture, to be put into an ordinary registry. */
export interface PushedImage {
  readonly config: Document;
  readonly manifest: Document;
}

/** A compressed layer, as far as documents speak of it. */
export type PushedImageLayer = Pick<CompressedLayer, "compression" | "digest" | "size" | "diffID">;

/**
 * The documents of a path image.
 *
 * @param architecture in Go's words: `amd64`, `arm64`.
 */
export function pushedPathImage(
  architecture: string,
  storePath: StorePath,
  layer: PushedImageLayer,
): PushedImage {
  return imageOf({ architecture, text: pathImageText(storePath), layers: [named(layer)] });
}

/**
 * The documents of a store image.
 *
 * @param options.decision which paths have volumes of their own, as src/plan/decision.ts writes it; none where it has none.
 * @param options.content the layers with the paths, the lowest first.
 * @param options.mountPoints the layer above them; none for an image without mount points.
 */
export function pushedStoreImage(
  architecture: string,
  options: {
    readonly roots: readonly StorePath[];
    readonly decision: string | undefined;
    readonly content: readonly PushedImageLayer[];
    readonly mountPoints?: PushedImageLayer | undefined;
  },
): PushedImage {
  const { roots, decision, content, mountPoints } = options;
  return imageOf({
    architecture,
    text: storeImageText(roots, decision),
    layers: content.map(named),
    mountPoints: mountPoints && named(mountPoints),
  });
}

function named({ compression, ...layer }: PushedImageLayer): NamedLayer {
  return { ...layer, mediaType: layerMediaTypes[compression] };
}
