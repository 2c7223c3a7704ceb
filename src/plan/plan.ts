import { formatBytes, imageTooLarge, tooManyRoots } from "../errors.ts";
import type { Closure, PathType } from "../nix/closure.ts";
import { baseName, type StorePath } from "../nix/store-path.ts";
import { reduceRoots } from "./graph.ts";
import { maxRoots } from "./image-name.ts";
import { packClosures, packingCandidates, type ClosureToPack, type TypedClosure } from "./packing.ts";
import { makeVolumes, type PlannedVolume } from "./volumes.ts";

export type { PlannedVolume } from "./volumes.ts";

/** How a plan is chosen (docs/annotations.md). */
export type Strategy = "auto" | "per-path" | "packed" | "bundle";
export const strategies: readonly Strategy[] = ["auto", "per-path", "packed", "bundle"];

/** The volumes that carry a closure. */
export interface Plan {
  readonly source: string;
  readonly strategy: Exclude<Strategy, "auto">;
  readonly closure: Closure;
  /** Store image first, then roots, then the rest by hash: the first request tells the registry the plan. */
  readonly volumes: readonly PlannedVolume[];
}

/** A closure that a Pod asks for. */
export type WantedClosure = ClosureToPack;

/** The same with types: at least those of {@link typesNeeded}; more change nothing. */
export type KnownClosure = TypedClosure;

/** What all plans of a Pod depend on, but for its closures. */
export interface PlanRules {
  readonly strategy: Strategy;
  /** Images that the closures should have together: the smaller one of pull budget and plan.maxVolumes. */
  readonly maxImages: number;
  /** Host part of image references. */
  readonly host: string;
  /** The largest single image that the registry can hold, in bytes. */
  readonly maxImageBytes: number;
}

/** The paths of each closure whose type {@link planClosures} has to know. */
export function typesNeeded(
  closures: readonly WantedClosure[],
  { strategy, maxImages }: Pick<PlanRules, "strategy" | "maxImages">,
): readonly (readonly StorePath[])[] {
  if (strategy === "bundle") return closures.map(({ closure }) => closure.roots);
  if (strategy === "packed" || (strategy === "auto" && !mayFit(closures, maxImages))) {
    return packingCandidates(closures, maxImages);
  }
  return closures.map(({ closure }) => closure.paths.map((info) => info.storePath));
}

/**
 * Chooses the volumes of a Pod's closures, all together, because all of their images are pulled for one Pod. What is
 * chosen depends on the closures as sets, not on their order.
 *
 * @returns a plan for each closure, in their order.
 * @throws tooManyRoots, imageTooLarge
 */
export function planClosures(closures: readonly KnownClosure[], rules: PlanRules): readonly Plan[] {
  const strategy = rules.strategy === "auto" ? chooseStrategy(closures, rules.maxImages) : rules.strategy;
  const own = chooseOwn(closures, strategy, rules.maxImages);
  return closures.map((known, at) => planClosure(known, own[at] ?? new Set(), strategy, rules));
}

/** The paths that get volumes of their own: directories. */
function chooseOwn(
  closures: readonly KnownClosure[],
  strategy: Plan["strategy"],
  maxImages: number,
): readonly ReadonlySet<StorePath>[] {
  if (strategy === "packed") return packClosures(closures, maxImages);
  return closures.map(({ closure, types, profileRoots }) => {
    const candidates =
      strategy === "bundle" ? [...profileRoots] : closure.paths.map((info) => info.storePath);
    return new Set(candidates.filter((path) => types.get(path) === "directory"));
  });
}

function planClosure(
  { source, closure, types }: KnownClosure,
  own: ReadonlySet<StorePath>,
  strategy: Plan["strategy"],
  { host, maxImageBytes }: PlanRules,
): Plan {
  const roots = reduceRoots(closure);
  const limit = maxRoots(host, source);
  if (roots.length > limit) throw tooManyRoots(roots.length, limit);
  // Where few paths have volumes of their own they are listed, so that a registry need not find out what the rest is.
  const spoken = strategy === "per-path" ? types : new Map<StorePath, PathType>();
  const volumes = makeVolumes({ source, closure }, roots, own, spoken, host);
  for (const volume of volumes) {
    if (volume.narSize > maxImageBytes) {
      const what =
        volume.image.kind === "path" ? volume.mountPath : `the closure of ${roots.map(baseName).join(", ")}`;
      // What is too large on its own is so with every strategy.
      const fix = `raise registry.blobs.maxBytes${volume.image.kind === "path" || strategy === "per-path" ? "" : ", or use strategy per-path"}`;
      throw imageTooLarge(what, formatBytes(volume.narSize), formatBytes(maxImageBytes), fix);
    }
  }
  return { source, strategy, closure, volumes };
}

function chooseStrategy(closures: readonly KnownClosure[], maxImages: number): "per-path" | "packed" {
  return mayFit(closures, maxImages) && countPerPath(closures) <= maxImages ? "per-path" : "packed";
}

/** Whether per-path may come to so few images, as far as can be said without types: a path is one, or hardly anything. */
function mayFit(closures: readonly WantedClosure[], maxImages: number): boolean {
  const paths = new Set<string>();
  for (const { source, closure } of closures) {
    if (closure.paths.length > maxImages) return false;
    for (const { storePath } of closure.paths) paths.add(`${source}:${storePath}`);
  }
  return paths.size <= maxImages;
}

/** The distinct images of all closures under per-path. */
function countPerPath(closures: readonly KnownClosure[]): number {
  const directories = new Set<string>();
  let storeImages = 0;
  for (const { source, closure, types } of closures) {
    let left = false;
    for (const { storePath } of closure.paths) {
      if (types.get(storePath) === "directory") directories.add(`${source}:${storePath}`);
      else left = true;
    }
    if (left) storeImages++;
  }
  return directories.size + storeImages;
}
