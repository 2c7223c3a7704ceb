import type { Closure } from "../src/nix/closure.ts";
import type { StorePath } from "../src/nix/store-path.ts";
import { reachable } from "../src/plan/graph.ts";
import type { pathValue } from "../src/plan/value.ts";

/** What is known of a path's place in a closure. */
interface Place {
  /** Other paths that need it, directly or not. */
  readonly dependents: number;
  /** Steps of the longest way down. */
  readonly height: number;
}

/** Other ways to say what a path is worth than the one that is built in. */
export const otherValues: Readonly<Record<string, typeof pathValue>> = {
  dependents: ({ storePath }, closure) => placeOf(storePath, closure).dependents,
  "size times dependents": ({ storePath, narSize }, closure) =>
    narSize * placeOf(storePath, closure).dependents,
  "size times log of dependents": ({ storePath, narSize }, closure) =>
    narSize * Math.log2(1 + placeOf(storePath, closure).dependents),
  height: ({ storePath }, closure) => placeOf(storePath, closure).height,
};

const places = new WeakMap<Closure, ReadonlyMap<StorePath, Place>>();

function placeOf(path: StorePath, closure: Closure): Place {
  let known = places.get(closure);
  if (known === undefined) places.set(closure, (known = findPlaces(closure)));
  return known.get(path) ?? { dependents: 0, height: 0 };
}

function findPlaces(closure: Closure): ReadonlyMap<StorePath, Place> {
  const dependents = new Map<StorePath, number>();
  for (const { storePath } of closure.paths) {
    for (const needed of reachable(closure, storePath))
      if (needed !== storePath) dependents.set(needed, (dependents.get(needed) ?? 0) + 1);
  }
  const heights = new Map<StorePath, number>();
  const heightOf = (path: StorePath): number => {
    const known = heights.get(path);
    if (known !== undefined) return known;
    const references = (closure.byPath.get(path)?.references ?? []).filter((other) => other !== path);
    const height = Math.max(-1, ...references.map(heightOf)) + 1;
    heights.set(path, height);
    return height;
  };
  return new Map(
    closure.paths.map(({ storePath }) => [
      storePath,
      { dependents: dependents.get(storePath) ?? 0, height: heightOf(storePath) },
    ]),
  );
}
