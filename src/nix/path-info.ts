import type { ContentAddress } from "./content-address.ts";
import type { Signed } from "./fingerprint.ts";
import type { Signature } from "./signature.ts";

/** What is said of a store path, wherever its content is. Until a signature has been verified, it is a claim. */
export interface PathInfo extends Signed {
  /** All that are well-formed, in the order that they were found. */
  readonly signatures: readonly Signature[];
  readonly contentAddress?: ContentAddress;
}
