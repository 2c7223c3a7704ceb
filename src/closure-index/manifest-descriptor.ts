import { type Digest, parseDigest } from "../oci/digest.ts";
import type { JsonFields } from "./json-fields.ts";

/** A manifest, or a document, as others name it. */
export interface ManifestDescriptor {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/** What registries take, and containers/image reads, of a manifest: 4 MiB. */
export const maxManifestBytes = 4 * 1024 * 1024;

/**
 * Reads digest and size of a descriptor.
 *
 * @param maxBytes that it may have.
 * @throws closureIndexInvalid
 */
export function readDescriptor(fields: JsonFields, maxBytes = maxManifestBytes): ManifestDescriptor {
  return {
    digest: fields.parsed("digest", parseDigest),
    size: fields.integer("size", 1, maxBytes),
  };
}
