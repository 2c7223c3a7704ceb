import type { Closure } from "../nix/closure.ts";
import type { StorePath } from "../nix/store-path.ts";

/**
 * The shortest way from a root of a closure to a path, both included: each path refers to the next one. Of several, the
 * one from the first root; then the one whose paths come first by hash.
 * @returns empty for a path that no root needs.
 */
export function shortestChain(closure: Closure, to: StorePath): readonly StorePath[] {
  const neededBy = new Map<StorePath, StorePath | undefined>(
    closure.roots.map((root) => [root, undefined] as const),
  );
  // A map is walked in the order of its keys, those that the walk adds included: so near paths come first.
  for (const [path] of neededBy) {
    if (path === to) return chainTo(path, neededBy);
    for (const reference of closure.byPath.get(path)?.references ?? []) {
      if (!neededBy.has(reference)) neededBy.set(reference, path);
    }
  }
  return [];
}

function chainTo(
  to: StorePath,
  neededBy: ReadonlyMap<StorePath, StorePath | undefined>,
): readonly StorePath[] {
  const chain: StorePath[] = [];
  for (let path: StorePath | undefined = to; path !== undefined; path = neededBy.get(path)) chain.push(path);
  return chain.toReversed();
}
