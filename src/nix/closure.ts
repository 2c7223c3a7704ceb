import type { PathInfo } from "./path-info.ts";
import type { StorePath } from "./store-path.ts";

/** What the root of a store path is, in the words of the NAR format. */
export type PathType = "directory" | "regular" | "symlink";

/** A set of store paths that is closed under references. */
export interface Closure {
  /** In the order that they were asked for; a root that another root's closure holds is still listed. */
  readonly roots: readonly StorePath[];
  /** All paths, sorted by base name (so by hash part). */
  readonly paths: readonly PathInfo[];
  /** The same by store path. */
  readonly byPath: ReadonlyMap<StorePath, PathInfo>;
  /** Sum of NarSize, in bytes. */
  readonly narSize: number;
}
