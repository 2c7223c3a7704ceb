import type { Closure } from "../src/nix/closure.ts";
import type { StorePath } from "../src/nix/store-path.ts";
import { demoClosure, demoTypes } from "../test/patch/closures.ts";
import type { App, TypedGraph } from "./app-graphs.ts";
import { syntheticStorePath } from "./synthetic-paths.ts";

/** Smaller closures fit into a few images whatever is chosen. */
const fewestPaths = 3;

/**
 * The store paths of the demo's binary cache, each taken for an application whose next version is the same thing under
 * another name.
 */
export function demoFleet(): readonly App[] {
  return [...demoTypes.keys()]
    .map((root) => demoClosure(root))
    .filter(({ paths }) => paths.length >= fewestPaths)
    .map((closure) => ({ now: { closure, types: demoTypes }, next: renamed(closure) }));
}

/** A closure whose root was built anew. */
function renamed(closure: Closure): TypedGraph {
  const [root] = closure.roots;
  const fresh = syntheticStorePath(`next-of-${root?.slice(-40) ?? ""}`);
  const rename = (path: StorePath): StorePath => (path === root ? fresh : path);
  const paths = closure.paths
    .map((info) => ({
      ...info,
      storePath: rename(info.storePath),
      references: info.references.map(rename).toSorted(),
    }))
    .toSorted((a, b) => (a.storePath < b.storePath ? -1 : 1));
  return {
    closure: {
      ...closure,
      roots: [fresh],
      paths,
      byPath: new Map(paths.map((info) => [info.storePath, info])),
    },
    types: new Map(paths.map(({ storePath }) => [storePath, demoTypes.get(storePath) ?? "directory"])),
  };
}
