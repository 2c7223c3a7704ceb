import type { StorePath } from "../src/nix/store-path.ts";
import { syntheticStorePath, type SyntheticPath } from "./synthetic-paths.ts";

/** Layers of a graph, so that the longest way from the root to a leaf has about 20 steps. */
const layers = 20;
/** Paths that nearly everything needs, as it does glibc, bash and the C++ library. */
const hubs = 5;
/** One path in so many is a file, as wrappers and patches are. */
const fileEvery = 25;

/** A closure. */
export interface SyntheticGraph {
  readonly root: StorePath;
  /** The root first; references lead only to paths further on. */
  readonly paths: readonly SyntheticPath[];
}

/** Numbers from 0 up to 1 that look random and are always the same (mulberry32). */
export function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A closure with so many paths. */
export function syntheticGraph(count: number, name = "graph"): SyntheticGraph {
  const next = numbers(count);
  const depth = Math.min(layers, Math.max(2, Math.floor(count / 3)));
  const paths = Array.from({ length: count }, (_, index) => syntheticStorePath(`${name}-${count}-${index}`));
  /** The root alone is the first layer, the hubs are the last one. */
  const layerOf = (index: number): number =>
    index === 0
      ? 0
      : index >= count - hubs
        ? depth
        : 1 + Math.floor(((index - 1) * (depth - 1)) / Math.max(1, count - 1 - hubs));
  const members = Array.from({ length: depth + 1 }, (): number[] => []);
  for (let index = 0; index < count; index++) members[layerOf(index)]?.push(index);

  const references = paths.map((): Set<number> => new Set());
  const any = (layer: readonly number[]): number | undefined => layer[Math.floor(next() * layer.length)];
  for (let index = 1; index < count; index++) {
    // Somebody in the layer before needs it, so that it belongs to the closure.
    const before = members[layerOf(index) - 1] ?? [];
    const parent = any(before.length === 0 ? [0] : before);
    if (parent !== undefined) references[parent]?.add(index);
  }
  for (let index = 0; index < count - hubs; index++) {
    const extra = Math.floor(next() * 10);
    for (let at = 0; at < extra; at++) {
      // Mostly what lies one to three layers below, and the hubs.
      const below = layerOf(index) + 1 + Math.floor(next() * 3);
      const target = any(next() < 0.3 ? (members[depth] ?? []) : (members[Math.min(below, depth)] ?? []));
      if (target !== undefined && target > index) references[index]?.add(target);
    }
  }
  return {
    root: paths[0] as StorePath,
    paths: paths.map((storePath, index) => ({
      storePath,
      references: [...(references[index] ?? [])].map((at) => paths[at] as StorePath),
      type: index > 0 && index % fileEvery === 0 ? "regular" : "directory",
    })),
  };
}

/** What is known of a graph's form. */
export function formOf({ root, paths }: SyntheticGraph): {
  readonly meanReferences: number;
  /** Steps from the root to the path that is furthest away: round trips that no walk can avoid. */
  readonly depth: number;
  /** Steps of the longest way. */
  readonly longestWay: number;
} {
  const byPath = new Map(paths.map((path) => [path.storePath, path]));
  const shortest = new Map([[root, 0]]);
  const queue = [root];
  for (const path of queue) {
    for (const reference of byPath.get(path)?.references ?? []) {
      if (shortest.has(reference)) continue;
      shortest.set(reference, (shortest.get(path) ?? 0) + 1);
      queue.push(reference);
    }
  }
  const longest = new Map<StorePath, number>();
  // References lead only further on in the list.
  for (const { storePath, references } of paths.toReversed()) {
    longest.set(storePath, Math.max(0, ...references.map((reference) => 1 + (longest.get(reference) ?? 0))));
  }
  if (queue.length !== paths.length)
    throw new Error(`the root needs ${queue.length} of ${paths.length} paths`);
  const edges = paths.reduce((sum, { references }) => sum + references.length, 0);
  return {
    meanReferences: edges / paths.length,
    depth: Math.max(...shortest.values()),
    longestWay: longest.get(root) ?? 0,
  };
}
