import type { StorePath } from "../nix/store-path.ts";
import type { Document } from "../oci/documents.ts";
import type { CompressedLayer } from "./compressed-layer-writer.ts";
import { imageOf } from "./image-documents.ts";
import { layerMediaTypes } from "./layer-compression.ts";
import { type ImageText, pathImageText, storeImageText } from "./layer-plan.ts";

/** The documents of an image for one architecture, to be put into an ordinary registry. */
export interface PushedImage {
  readonly config: Document;
  readonly manifest: Document;
}

/** What layers the documents name: all that they say of one. */
export type NamedLayer = Pick<CompressedLayer, "compression" | "digest" | "size" | "diffID">;

/**
 * The documents of a path image.
 *
 * @param architecture in Go's words: `amd64`, `arm64`.
 */
export function pushedPathImage(architecture: string, storePath: StorePath, layer: NamedLayer): PushedImage {
  return pushedImage(architecture, pathImageText(storePath), [layer]);
}

/**
 * The documents of a store image.
 *
 * @param options.decision which paths have volumes of their own, as src/plan/decision.ts writes it; none where it has none.
 * @param options.mountPoints the upper layer; none for an image without mount points.
 */
export function pushedStoreImage(
  architecture: string,
  options: {
    readonly roots: readonly StorePath[];
    readonly decision: string | undefined;
    readonly content: NamedLayer;
    readonly mountPoints?: NamedLayer | undefined;
  },
): PushedImage {
  const { roots, decision, content, mountPoints } = options;
  const layers = mountPoints === undefined ? [content] : [content, mountPoints];
  return pushedImage(architecture, storeImageText(roots, decision), layers);
}

function pushedImage(architecture: string, text: ImageText, layers: readonly NamedLayer[]): PushedImage {
  return imageOf({
    architecture,
    text,
    layers: layers.map(({ compression, ...layer }) => ({
      ...layer,
      mediaType: layerMediaTypes[compression],
    })),
  });
}
