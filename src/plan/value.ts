import type { Closure } from "../nix/closure.ts";
import type { NarInfo } from "../nix/narinfo.ts";

/**
 * What an image of its own is worth for a path of a closure: its size, in bytes. Only the order counts.
 *
 * An image of its own saves the path's bytes on a node each time that another closure has the same path. Whether one
 * has, nobody knows where a Pod is planned. The size is a property of the path alone, so that all closures agree which
 * of two paths comes first, and those with a common base take the same large ones; a few of them hold most of its bytes.
 * To weigh it with the number of paths that need it, or to go by that or by height in the graph, costs more bytes
 * in all fleets that were measured (bench/packing.ts): these figures differ from closure to closure.
 */
export function pathValue({ narSize }: NarInfo, _closure: Closure): number {
  return narSize;
}
