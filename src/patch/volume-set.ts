import type { NamedImages } from "../closure-index/named-images.ts";
import type { PushedImages } from "../closure-index/pushed-images.ts";
import { storeDirectory, storeHash, type StorePath } from "../nix/store-path.ts";
import type { Closure, PathType } from "../nix/closure.ts";
import { NixClosureError } from "../errors.ts";
import { closureCheck, decisionNeedsTypes, decodeDecision } from "../plan/decision.ts";
import { reduceRoots } from "../plan/graph.ts";
import type { StoreImageName } from "../plan/image-name.ts";
import type { NamedVolume } from "../plan/named-volumes.ts";
import type { Plan } from "../plan/plan.ts";
import { pushedChoices, type PushedClosure } from "../plan/pushed-choices.ts";
import { makePushedVolumes } from "../plan/pushed-volumes.ts";
import type { OwnedVolume } from "./owned.ts";

/** A volume that carries a part of a closure, and where it is mounted. */
export interface SetVolume {
  readonly name: string;
  readonly reference: string;
  readonly mountPath: string;
}

/** What a Pod asks for as the webhook resolved it for this review. */
export type ResolvedClosure = ResolvedRoots | ResolvedName;

/** The closure of roots. */
export interface ResolvedRoots {
  /** Today's plan. */
  readonly plan: Plan;
  /** The types that are known, at least those of neededTypes (src/patch/inject.ts). */
  readonly types: ReadonlyMap<StorePath, PathType>;
  /** Its images in an ordinary registry; undefined: our registry makes them. */
  readonly pushed?: PushedImages | undefined;
  /** The Secret that nodes pull these with. */
  readonly pullSecret?: string | undefined;
  /** Roots that containers mount as their profile. */
  readonly profileRoots: ReadonlySet<StorePath>;
}

/** What a name stands for now. */
export interface ResolvedName {
  readonly source: string;
  readonly named: NamedImages;
  readonly volumes: readonly NamedVolume[];
  /** As that of roots. */
  readonly pullSecret?: string | undefined;
}

/** Today's volumes of a closure. */
export function plannedVolumes(resolved: ResolvedClosure): readonly NamedVolume[] {
  return "named" in resolved ? resolved.volumes : resolved.plan.volumes;
}

/** The volumes of a Pod's closures. */
export interface Choice {
  /** By the keys of the closures. */
  readonly sets: ReadonlyMap<string, readonly SetVolume[]>;
  /** All of them, each once: those that the Pod has in its order, then new ones. */
  readonly volumes: readonly OwnedVolume[];
}

/**
 * Chooses the volumes of a Pod's closures: the set that is there, if it is whole, else today's plan. What one closure
 * brings in can serve another one, so this goes on until choosing again changes nothing: the next review will not.
 * @param closures by any key.
 */
export function chooseSets(
  owned: readonly OwnedVolume[],
  closures: ReadonlyMap<string, ResolvedClosure>,
): Choice {
  let present = owned;
  // From the second round on every closure has a whole set, so volumes can only leave.
  for (;;) {
    const sets = new Map<string, readonly SetVolume[]>();
    const added = new Map<string, OwnedVolume>();
    for (const [key, resolved] of closures) {
      const whole = findWholeSet(present, resolved);
      const planned = plannedVolumes(resolved);
      sets.set(key, whole ?? planned);
      if (whole === undefined) for (const volume of planned) added.set(volume.reference, volume);
    }
    const wanted = new Set([...sets.values()].flat().map((volume) => volume.reference));
    const kept = present.filter((volume) => wanted.has(volume.reference));
    for (const volume of kept) added.delete(volume.reference);
    if (kept.length === present.length && added.size === 0)
      return { sets: inOrder(sets, present), volumes: present };
    present = [...kept, ...added.values()];
  }
}

/** The same sets, each in the order of all volumes: so mounts come in the order of the volumes they mount. */
function inOrder(
  sets: ReadonlyMap<string, readonly SetVolume[]>,
  volumes: readonly OwnedVolume[],
): ReadonlyMap<string, readonly SetVolume[]> {
  const positions = new Map(volumes.map((volume, i) => [volume.reference, i]));
  const position = ({ reference }: SetVolume): number => positions.get(reference) ?? 0;
  return new Map([...sets].map(([key, set]) => [key, set.toSorted((a, b) => position(a) - position(b))]));
}

/**
 * Looks for a set of volumes in the Pod that carries the whole closure, under today's plan or another one.
 * @returns undefined if there is none; the Pod then gets today's plan.
 */
function findWholeSet(
  owned: readonly OwnedVolume[],
  resolved: ResolvedClosure,
): readonly SetVolume[] | undefined {
  // A name stands for one set of volumes: one that it stood for before is not whole any more.
  if ("named" in resolved) return findSet(owned, [resolved.volumes]);
  const { plan, pushed, profileRoots } = resolved;
  if (pushed === undefined) return findMadeSet(owned, resolved);
  return findPushedSet(owned, { closure: plan.closure, pushed, profileRoots });
}

/** Looks for all images of one of the plans that a closure is known to have been pushed with. */
function findPushedSet(
  owned: readonly OwnedVolume[],
  closure: PushedClosure,
): readonly SetVolume[] | undefined {
  if (owned.length === 0) return undefined;
  return findSet(
    owned,
    pushedChoices(closure).map((choice) => makePushedVolumes(closure, choice)),
  );
}

/** The first of some sets whose images are all there, with the names that they have. */
function findSet(
  owned: readonly OwnedVolume[],
  sets: readonly (readonly SetVolume[])[],
): readonly SetVolume[] | undefined {
  const names = new Map(owned.toReversed().map(({ reference, name }) => [reference, name]));
  const whole = sets.find((volumes) => volumes.every(({ reference }) => names.has(reference)));
  return whole?.map(({ reference, mountPath, name }) => {
    return { name: names.get(reference) ?? name, reference, mountPath };
  });
}

/**
 * Looks for images that our registry makes: a store image whose decision and check fit, with a path image for each path
 * that the decision gives a volume of its own; or path images for all paths.
 */
function findMadeSet(
  owned: readonly OwnedVolume[],
  resolved: ResolvedRoots,
): readonly SetVolume[] | undefined {
  const { plan, types } = resolved;
  const { closure, source } = plan;
  const paths = new Map<string, OwnedVolume>();
  for (const volume of owned) {
    if (volume.image?.kind !== "path" || volume.image.source !== source) continue;
    if (!paths.has(volume.image.hash)) paths.set(volume.image.hash, volume);
  }
  for (const volume of owned) {
    if (volume.image?.kind !== "store" || volume.image.source !== source) continue;
    const own = ownPaths(volume.image, closure, types);
    const set = own && pathVolumes(own, paths);
    if (set && servesProfiles(set, resolved)) {
      return [{ name: volume.name, reference: volume.reference, mountPath: storeDirectory }, ...set];
    }
  }
  if (closure.paths.some((info) => isFile(types.get(info.storePath)))) return undefined;
  return pathVolumes(
    closure.paths.map((info) => info.storePath),
    paths,
  );
}

/** Whether each root that can be mounted as a profile has a volume of its own. */
function servesProfiles(set: readonly SetVolume[], { profileRoots, types }: ResolvedRoots): boolean {
  return [...profileRoots].every(
    (root) => types.get(root) !== "directory" || set.some((volume) => volume.mountPath === root),
  );
}

function isFile(type: PathType | undefined): boolean {
  return type === "regular" || type === "symlink";
}

/** The paths that a store image leaves to volumes of their own; undefined if the image is not of this closure. */
function ownPaths(
  image: StoreImageName,
  closure: Closure,
  types: ReadonlyMap<StorePath, PathType>,
): Iterable<StorePath> | undefined {
  const roots = reduceRoots(closure).map(storeHash);
  if (roots.join() !== image.roots.join()) return undefined;
  if (closureCheck(image.version, closure, image.decision) !== image.check) return undefined;
  // Without the types (today's strategy needs none) an older plan of this kind cannot be judged, so it is not kept.
  if (decisionNeedsTypes(image.decision) && closure.paths.some((info) => !types.has(info.storePath)))
    return undefined;
  try {
    const own = decodeDecision(image.decision, closure, types);
    // A file or a symlink has no image of its own, whatever the Pod's volumes say.
    return [...own].some((path) => isFile(types.get(path))) ? undefined : own;
  } catch (error) {
    if (error instanceof NixClosureError) return undefined;
    throw error;
  }
}

function pathVolumes(
  paths: Iterable<StorePath>,
  byHash: ReadonlyMap<string, OwnedVolume>,
): readonly SetVolume[] | undefined {
  const volumes: SetVolume[] = [];
  for (const path of paths) {
    const volume = byHash.get(storeHash(path));
    if (volume === undefined) return undefined;
    volumes.push({ name: volume.name, reference: volume.reference, mountPath: path });
  }
  return volumes;
}
