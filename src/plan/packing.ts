import type { PushedImages } from "../closure-index/pushed-images.ts";
import type { Closure, PathType } from "../nix/closure.ts";
import type { StorePath } from "../nix/store-path.ts";
import { maxListed } from "./decision.ts";
import { pathValue, worthAnImage } from "./value.ts";

/** A closure of a Pod, as packing sees it. */
export interface ClosureToPack {
  readonly source: string;
  readonly closure: Closure;
  /** Roots that are mounted as a profile: directories among them get volumes of their own, whatever the number. */
  readonly profileRoots: ReadonlySet<StorePath>;
  /** Its images in an ordinary registry; undefined: our registry makes them. */
  readonly pushed?: PushedImages | undefined;
}

/** The same with the types of its {@link packingCandidates}, at least. */
export interface TypedClosure extends ClosureToPack {
  readonly types: ReadonlyMap<StorePath, PathType>;
}

/** A path that may get an image of its own, in all closures of one source that hold it. */
interface Candidate {
  readonly path: StorePath;
  /** Positions of the closures. */
  readonly closures: readonly number[];
  /** 0: a profile, 1: another root, 2: neither. */
  readonly rank: number;
  readonly value: number;
}

/** Candidates beyond those that have room: for each file or symlink among the best, the next one is taken. */
const spare = 4;

/**
 * The paths of each closure whose types packing has to know: the roots, and of the others that are worth an image the
 * most valuable ones of all closures together.
 *
 * @param maxImages images that the closures may have together.
 * @param valueOf what a path is worth; only the benchmark has another one.
 */
export function packingCandidates(
  closures: readonly ClosureToPack[],
  maxImages: number,
  valueOf = pathValue,
): readonly (readonly StorePath[])[] {
  const candidates = findCandidates(closures, maxImages, valueOf);
  return closures.map((_closure, at) =>
    candidates.filter((candidate) => candidate.closures.includes(at)).map(({ path }) => path),
  );
}

/**
 * Chooses the paths that get images of their own, so that these and the store images of all closures are not more than
 * `maxImages`, and never more than the profiles and a store image for each closure if that is more: roots first, then
 * the most valuable directories of those that are worth an image.
 *
 * @param valueOf what a path is worth; only the benchmark has another one.
 * @returns the paths of each closure, at most {@link maxListed} unless they are all that it has.
 */
export function packClosures(
  closures: readonly TypedClosure[],
  maxImages: number,
  valueOf = pathValue,
): readonly ReadonlySet<StorePath>[] {
  const candidates = findCandidates(closures, maxImages, valueOf);
  const own = closures.map(() => new Set<StorePath>());
  const leftOf = (at: number): number => (closures[at]?.closure.paths.length ?? 0) - (own[at]?.size ?? 0);
  let images = closures.length;

  function take({ path, closures: holders, rank }: Candidate): boolean {
    const takers = holders.filter((at) => {
      if (closures[at]?.types.get(path) !== "directory" || own[at]?.has(path) !== false) return false;
      return own[at].size < maxListed || leftOf(at) === 1;
    });
    // A closure of which nothing is left over has no store image any more.
    const cost = 1 - takers.filter((at) => leftOf(at) === 1).length;
    if (takers.length === 0 || (rank > 0 && cost > 0 && images + cost > maxImages)) return false;
    for (const at of takers) own[at]?.add(path);
    images += cost;
    return true;
  }

  // What is taken can make room for what had none before it.
  let waiting = candidates;
  for (let before = Infinity; waiting.length < before;) {
    before = waiting.length;
    waiting = waiting.filter((candidate) => !take(candidate));
  }
  return own;
}

/** The best candidates, as many as may get images, and some more. */
function findCandidates(
  closures: readonly ClosureToPack[],
  maxImages: number,
  valueOf: typeof pathValue,
): readonly Candidate[] {
  const found = new Map<
    string,
    { path: StorePath; closures: number[]; rank: number; value: number; isWorth: boolean }
  >();
  closures.forEach(({ source, closure, profileRoots }, at) => {
    const roots = new Set(closure.roots);
    for (const info of closure.paths) {
      const path = info.storePath;
      const rank = profileRoots.has(path) ? 0 : roots.has(path) ? 1 : 2;
      const value = valueOf(info, closure);
      const key = `${source}:${path}`;
      const known = found.get(key);
      if (known === undefined) {
        found.set(key, { path, closures: [at], rank, value, isWorth: worthAnImage(info) });
        continue;
      }
      known.closures.push(at);
      known.rank = Math.min(known.rank, rank);
      known.value += value;
    }
  });
  // The keys decide where nothing else does, so that the order in which closures come does not.
  const worthwhile = [...found].filter(([, { rank, isWorth }]) => rank < 2 || isWorth);
  const ranked = worthwhile.toSorted(
    ([oneKey, one], [otherKey, other]) =>
      one.rank - other.rank || other.value - one.value || (oneKey < otherKey ? -1 : 1),
  );
  const roots = ranked.filter(([, { rank }]) => rank < 2).length;
  return ranked.slice(0, roots + maxImages + spare).map(([, candidate]) => candidate);
}
