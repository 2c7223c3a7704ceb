import type { Closure } from "../nix/closure.ts";
import type { PathInfo } from "../nix/path-info.ts";

/**
 * What an image of its own is worth for a path of a closure: its size, in bytes. Only the order counts.
 *
 * An image of its own saves the path's bytes on a node each time that another closure has the same path. Whether one
 * has, nobody knows where a Pod is planned. The size is a property of the path alone, so that all closures agree which
 * of two paths comes first, and those with a common base take the same large ones; a few of them hold most of its bytes.
 * How many paths need it, and how high it is in the graph, differ from closure to closure: to choose by these, alone or
 * with the size, costs no fewer bytes in any fleet that was measured (bench/packing.ts, docs/performance.md).
 */
export function pathValue({ narSize }: PathInfo, _closure: Closure): number {
  return narSize;
}

/** The size (NarSize, bytes) from which on a path has an image of its own: an image costs a Pod what so many bytes cost. */
const leastBytes = 4 * 1024 * 1024;

/**
 * Whether a path may have an image of its own beside those of the roots. Each takes a node some 50 ms, for its requests and its
 * snapshot, however small it is; 4 MiB more in the store image take no longer (docs/performance.md).
 */
export function worthAnImage({ narSize }: PathInfo): boolean {
  return narSize >= leastBytes;
}
