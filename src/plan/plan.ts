import { formatBytes, imageTooLarge, internal, tooManyRoots } from "../errors.ts";
import type { Closure, PathType } from "../nix/closure.ts";
import { baseName, type StorePath } from "../nix/store-path.ts";
import { choosePushed } from "./choose-pushed.ts";
import { reduceRoots } from "./graph.ts";
import { maxRoots } from "./image-name.ts";
import { packClosures, packingCandidates, type ClosureToPack, type TypedClosure } from "./packing.ts";
import { isPerPath, type PushedChoice } from "./pushed-choices.ts";
import { makePushedVolumes } from "./pushed-volumes.ts";
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
  /** Host part of references to images that our registry makes. */
  readonly host: string;
  /** The largest single image that our registry can hold, in bytes. What was pushed lies elsewhere. */
  readonly maxImageBytes: number;
}

/**
 * The paths of each closure whose type {@link planClosures} has to know: none of a pushed one, which says it itself.
 *
 * @throws planNotPushed
 */
export function typesNeeded(
  closures: readonly WantedClosure[],
  { strategy, maxImages }: Pick<PlanRules, "strategy" | "maxImages">,
): readonly (readonly StorePath[])[] {
  const { left } = choosePushed(closures, { strategy, maxImages });
  const needed = typesOfMade(closures.filter(isMade), strategy, left);
  let next = 0;
  return closures.map((closure) => (isMade(closure) ? (needed[next++] ?? []) : []));
}

function typesOfMade(
  closures: readonly WantedClosure[],
  strategy: Strategy,
  maxImages: number,
): readonly (readonly StorePath[])[] {
  if (strategy === "bundle") return closures.map(({ closure }) => closure.roots);
  if (strategy === "packed" || (strategy === "auto" && !mayFit(closures, maxImages))) {
    return packingCandidates(closures, maxImages);
  }
  return closures.map(({ closure }) => closure.paths.map((info) => info.storePath));
}

/**
 * Chooses the volumes of a Pod's closures, all together, because all of their images are pulled for one Pod. What is
 * chosen depends on the closures as sets, not on their order. Of a pushed closure it is one of the plans that it was
 * pushed with; the others have what is left of the images.
 *
 * @returns a plan for each closure, in their order.
 * @throws tooManyRoots, imageTooLarge, planNotPushed
 */
export function planClosures(closures: readonly KnownClosure[], rules: PlanRules): readonly Plan[] {
  const { chosen, left } = choosePushed(closures, rules);
  const made = planMade(closures.filter(isMade), { ...rules, maxImages: left });
  let next = 0;
  return closures.flatMap((known, at) => {
    const choice = chosen.get(at);
    const plan = choice === undefined ? made[next++] : planPushed(known, choice, rules.strategy);
    return plan === undefined ? [] : [plan];
  });
}

/** Whether our registry makes the images of a closure. */
function isMade({ pushed }: WantedClosure): boolean {
  return pushed === undefined;
}

/** The plan of a pushed closure that a choice is. */
function planPushed(
  { source, closure, pushed, profileRoots }: KnownClosure,
  choice: PushedChoice,
  asked: Strategy,
): Plan {
  if (pushed === undefined) throw internal("a choice for a closure that was not pushed");
  const one = { closure, pushed, profileRoots };
  const strategy = asked !== "auto" ? asked : isPerPath(choice, one) ? "per-path" : "packed";
  return { source, strategy, closure, volumes: makePushedVolumes(one, choice) };
}

function planMade(closures: readonly KnownClosure[], rules: PlanRules): readonly Plan[] {
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
