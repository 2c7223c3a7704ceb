import { createHash } from "node:crypto";

import { digestInvalid } from "../errors.ts";

/** The name of some bytes, `sha256:<64 lower-case hexadecimal digits>`. */
export type Digest = string & { readonly __brand: "Digest" };

const prefix = "sha256:";

/**
 * Reads a digest as OCI image-spec 1.1 (descriptor.md, "Digests") writes it. Of the registered algorithms only
 * sha256 is taken: nothing here is made with another one.
 *
 * @throws digestInvalid
 */
export function parseDigest(text: string): Digest {
  if (!/^sha256:[0-9a-f]{64}$/.test(text)) throw digestInvalid(text);
  return text as Digest;
}

/** The digest of `bytes`. */
export function sha256Digest(bytes: Uint8Array): Digest {
  return (prefix + createHash("sha256").update(bytes).digest("hex")) as Digest;
}

/** The 64 hexadecimal digits without the algorithm, for instance as a file's name. */
export function digestHex(digest: Digest): string {
  return digest.slice(prefix.length);
}
