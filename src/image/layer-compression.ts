import { type LayerMediaType, mediaTypes } from "../oci/documents.ts";

/** What a pushed layer is compressed with. */
export type LayerCompression = "zstd" | "gzip" | "none";

/** All that there are, the usual one first. */
export const layerCompressions: readonly LayerCompression[] = ["zstd", "gzip", "none"];

/** The media type of layers. */
export const layerMediaTypes: Readonly<Record<LayerCompression, LayerMediaType>> = {
  zstd: mediaTypes.layerTarZstd,
  gzip: mediaTypes.layerTarGzip,
  none: mediaTypes.layerTar,
};

/** zstd's own default: levels above it take several times as long for some percent. */
export const zstdLevel = 3;
/** gzip's own default. */
export const gzipLevel = 6;

/** Of the package that makes gzip; a test holds it against package.json. */
const gzipLibrary = "fflate 0.8.3";

/**
 * A compression with all that its bytes depend on beside the content: whoever remembers what a layer became asks again
 * when this is another.
 */
export function compressionName(compression: LayerCompression): string {
  switch (compression) {
    case "zstd":
      return `zstd-${zstdLevel} zstd ${process.versions["zstd"] ?? process.version}`;
    case "gzip":
      return `gzip-${gzipLevel} ${gzipLibrary}`;
    case "none":
      return "none";
  }
}
