import type { Closure } from "../nix/closure.ts";
import type { StorePath } from "../nix/store-path.ts";

/** The roots of a closure without those that another root's closure holds, ascending by hash. */
export function reduceRoots(closure: Closure): readonly StorePath[] {
  const roots = [...new Set(closure.roots)].toSorted();
  const dropped = new Set<StorePath>();
  for (const root of roots) {
    // A dropped root's closure lies within its dropper's, so it can drop nothing that is not dropped already.
    if (dropped.has(root)) continue;
    const reached = reachable(closure, root);
    for (const other of roots) if (other !== root && reached.has(other)) dropped.add(other);
  }
  return roots.filter((root) => !dropped.has(root));
}

/** The paths that a path needs, itself included. */
export function reachable(closure: Closure, from: StorePath): ReadonlySet<StorePath> {
  const reached = new Set([from]);
  for (const path of reached) {
    for (const reference of closure.byPath.get(path)?.references ?? []) reached.add(reference);
  }
  return reached;
}
