/**
 * The JSON documents of an image, as OCI image-spec 1.1 (config.md, manifest.md, image-index.md) defines them.
 * A digest covers the bytes, so the encoding is fixed: keys in the order written here, those of labels and
 * annotations sorted, no insignificant white space.
 */
import { type Digest, sha256Digest } from "./digest.ts";

/** Media types of OCI image-spec 1.1, media-types.md. */
export const mediaTypes = {
  manifest: "application/vnd.oci.image.manifest.v1+json",
  index: "application/vnd.oci.image.index.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layerTar: "application/vnd.oci.image.layer.v1.tar",
  layerTarGzip: "application/vnd.oci.image.layer.v1.tar+gzip",
  layerTarZstd: "application/vnd.oci.image.layer.v1.tar+zstd",
  empty: "application/vnd.oci.empty.v1+json",
} as const;

/** Media types that a layer can have. */
export type LayerMediaType = (typeof mediaTypes)["layerTar" | "layerTarGzip" | "layerTarZstd"];

/** The platform that an index names for a manifest. */
export interface Platform {
  /** In Go's words: `amd64`, `arm64`. */
  readonly architecture: string;
  readonly os: string;
}

/** What one document says of another, or of a blob. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly platform?: Platform;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A JSON document, encoded once. */
export interface Document {
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  readonly digest: Digest;
}

/** One second after the epoch, as in the Nix store: some programs take 0 for "no time". */
const created = "1970-01-01T00:00:01Z";

/** A layer as an image's config tells of it. */
export interface LayerHistory {
  /** Of the tar: the diffID. */
  readonly digest: Digest;
  /** What made it. */
  readonly createdBy: string;
  readonly comment?: string;
}

/** The config of an image for Linux with these layers, the lowest first. */
export function imageConfig(options: {
  readonly architecture: string;
  readonly layers: readonly LayerHistory[];
  readonly labels?: Readonly<Record<string, string>>;
  /** Name or number that processes run as. */
  readonly user?: string;
  /** `NAME=value`. */
  readonly env?: readonly string[];
}): Document {
  return encodeDocument(mediaTypes.config, {
    created,
    architecture: options.architecture,
    os: "linux",
    config: { User: options.user, Env: options.env, Labels: sorted(options.labels) },
    rootfs: { type: "layers", diff_ids: options.layers.map(({ digest }) => digest) },
    // Some tools insist on one entry for each layer (nix2container's issue 57).
    history: options.layers.map(({ createdBy, comment }) => ({ created, created_by: createdBy, comment })),
  });
}

/** The manifest of an image with these layers, the lowest first; tar without compression where nothing else is said. */
export function imageManifest(options: {
  readonly config: Document;
  readonly layers: readonly {
    readonly mediaType?: LayerMediaType;
    readonly digest: Digest;
    /** Bytes. */
    readonly size: number;
  }[];
  readonly annotations?: Readonly<Record<string, string>>;
}): Document {
  return encodeDocument(mediaTypes.manifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: describe(options.config),
    layers: options.layers.map(({ mediaType = mediaTypes.layerTar, digest, size }) => ({
      mediaType,
      digest,
      size,
    })),
    annotations: sorted(options.annotations),
  });
}

/** An index over manifests of one image for several architectures, in the order given. */
export function imageIndex(options: {
  readonly manifests: readonly { readonly document: Document; readonly architecture: string }[];
  readonly annotations?: Readonly<Record<string, string>>;
}): Document {
  return encodeDocument(mediaTypes.index, {
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    manifests: options.manifests.map(({ document, architecture }) => ({
      ...describe(document),
      platform: { architecture, os: "linux" },
    })),
    annotations: sorted(options.annotations),
  });
}

/** The descriptor of a document. */
export function describe(document: Document): Descriptor {
  return { mediaType: document.mediaType, digest: document.digest, size: document.bytes.length };
}

/** A document with this content, its keys in the order that they have. */
export function encodeDocument(mediaType: string, content: object): Document {
  const bytes = new TextEncoder().encode(JSON.stringify(content));
  return { mediaType, bytes, digest: sha256Digest(bytes) };
}

/** The same entries by key in UTF-16 order; undefined, which JSON leaves out, for none. */
function sorted(entries: Readonly<Record<string, string>> | undefined): Record<string, string> | undefined {
  if (entries === undefined) return undefined;
  return Object.fromEntries(Object.entries(entries).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
