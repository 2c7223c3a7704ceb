import { sha256Digest } from "../oci/digest.ts";
import type { Document } from "../oci/documents.ts";
import { baseLayer } from "./base-image.ts";
import { createCompressor } from "./compressor.ts";
import { imageDocuments, type ImageDocuments } from "./image-documents.ts";
import { layerMediaTypes } from "./layer-compression.ts";
import { baseText } from "./layer-plan.ts";

/** The base image, to be put into an ordinary registry. */
export interface PushedBaseImage {
  readonly layer: Pick<Document, "digest" | "bytes">;
  readonly documents: ImageDocuments;
}

/**
 * Makes the base image with a layer in gzip, which every client reads, and which skopeo leaves as it is where it copies
 * into a directory: there it compresses layers that are not.
 */
export async function pushedBaseImage(): Promise<PushedBaseImage> {
  const tar = baseLayer();
  const pieces: Uint8Array[] = [];
  const compressor = createCompressor("gzip", async (piece) => void pieces.push(piece));
  await compressor.write(tar);
  await compressor.end();
  const bytes = Buffer.concat(pieces);
  const digest = sha256Digest(bytes);
  const layer = { digest, size: bytes.length, diffID: sha256Digest(tar), mediaType: layerMediaTypes.gzip };
  return { layer: { digest, bytes }, documents: imageDocuments({ ...baseText(), layers: [layer] }) };
}
