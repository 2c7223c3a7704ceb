import type { StorePath } from "../nix/store-path.ts";
import type { Digest } from "../oci/digest.ts";
import type { System } from "./system.ts";

/** The images of a closure that lies in an ordinary registry, as far as a plan needs them. */
export interface PushedImages {
  /** `<host>/<repository>`: what every reference starts with. */
  readonly repository: string;
  /** Of the nodes that they are for. */
  readonly system: System;
  /** Digest of the manifest of each directory's path image. */
  readonly paths: ReadonlyMap<StorePath, Digest>;
  readonly storeImages: readonly PushedStoreImage[];
}

/** A store image of those that were pushed. */
export interface PushedStoreImage {
  /** The directories that it has mount points for, and not their content. */
  readonly own: ReadonlySet<StorePath>;
  /** Of its manifest. */
  readonly digest: Digest;
}
