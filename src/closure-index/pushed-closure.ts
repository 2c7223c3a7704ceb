import type { PathType } from "../nix/closure.ts";
import type { PathInfo } from "../nix/path-info.ts";
import type { StorePath } from "../nix/store-path.ts";
import type { ManifestDescriptor } from "./manifest-descriptor.ts";
import type { System } from "./system.ts";

/** A store path of a pushed closure. */
export interface PushedPath extends PathInfo {
  /** Nix's own, for whoever wants to know where the path comes from; a document keeps no more than 16. */
  readonly signatures: PathInfo["signatures"];
  readonly type: PathType;
  /** Of its path image: every directory has one, and nothing else has. */
  readonly manifest?: ManifestDescriptor;
}

/** A store image of a pushed closure: all paths but those with volumes of their own, which get mount points. */
export interface StoreImage {
  /** Directories, sorted by base name. */
  readonly own: readonly StorePath[];
  readonly manifest: ManifestDescriptor;
}

/** A pushed closure: what its signature covers. */
export interface ClosureDocument {
  readonly system: System;
  /** Sorted by base name; none of a closure has more than three, for they are its tag. */
  readonly roots: readonly StorePath[];
  /** Sorted by base name; closed under references, and nothing in it that no root needs. */
  readonly paths: readonly PushedPath[];
  /** Each for another set of volumes, the smallest set first. */
  readonly storeImages: readonly StoreImage[];
}

/** What every document keeps to, so that nobody need fear a large one. */
export const documentLimits = {
  /** As many as the decision in a tag of our own registry can tell apart: 62 x 62. */
  paths: 3844,
  storeImages: 64,
  signatures: 16,
} as const;
