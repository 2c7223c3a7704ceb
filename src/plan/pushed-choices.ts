import type { PushedImages, PushedStoreImage } from "../closure-index/pushed-images.ts";
import { planNotPushed } from "../errors.ts";
import type { Closure } from "../nix/closure.ts";
import { baseName, type StorePath } from "../nix/store-path.ts";
import type { Strategy } from "./plan.ts";

/** A closure of a Pod whose images lie in an ordinary registry. */
export interface PushedClosure {
  readonly closure: Closure;
  readonly pushed: PushedImages;
  /** Roots that are mounted as a profile: directories among them have volumes, whatever was pushed. */
  readonly profileRoots: ReadonlySet<StorePath>;
}

/** One way to carry a closure with images that were pushed. */
export interface PushedChoice {
  /** undefined: every path has a volume, so that nothing is left for a store image. */
  readonly store: PushedStoreImage | undefined;
  /**
   * The directories with volumes: those that the store image leaves out, and profiles. A profile's content can be in
   * the store image too, since which root is one a Pod says, and not who pushed it.
   */
  readonly own: ReadonlySet<StorePath>;
}

/** All ways to carry a closure, those of fewer images first. */
export function pushedChoices({ closure, pushed, profileRoots }: PushedClosure): readonly PushedChoice[] {
  const profiles = [...profileRoots].filter((root) => pushed.paths.has(root));
  const choices: PushedChoice[] = pushed.storeImages.map((store) => {
    return { store, own: new Set([...store.own, ...profiles]) };
  });
  const paths = closure.paths.map((info) => info.storePath);
  if (paths.every((path) => pushed.paths.has(path))) choices.push({ store: undefined, own: new Set(paths) });
  // Of equally many images, first those that hold less twice; the digests decide where nothing else does.
  return choices.toSorted(
    (one, other) =>
      countImages(one) - countImages(other) ||
      spread(other) - spread(one) ||
      ((one.store?.digest ?? "") < (other.store?.digest ?? "") ? -1 : 1),
  );
}

/** How many paths have volumes, and no content in the store image. */
function spread({ store, own }: PushedChoice): number {
  return (store?.own ?? own).size;
}

/** The images of a choice, which are volumes of a Pod. */
export function countImages({ store, own }: PushedChoice): number {
  return own.size + (store === undefined ? 0 : 1);
}

/**
 * The ways to carry a closure that a strategy allows, those of fewer images first: each has more of the paths in volumes
 * than those before it.
 *
 * @returns one for `per-path` and `bundle`, at least one for the strategies that choose a number of images.
 * @throws planNotPushed
 */
export function choicesFor(pushedClosure: PushedClosure, strategy: Strategy): readonly PushedChoice[] {
  const choices = pushedChoices(pushedClosure);
  const found =
    strategy === "per-path"
      ? choices.filter((choice) => isPerPath(choice, pushedClosure)).slice(0, 1)
      : strategy === "bundle"
        ? choices.filter((choice) => isBundle(choice, pushedClosure)).slice(0, 1)
        : choices.filter((choice, i) => choices.slice(0, i).every((fewer) => spread(fewer) < spread(choice)));
  if (found.length === 0) {
    const counts = [...new Set(choices.map(countImages))].map(String);
    throw planNotPushed(pushedClosure.closure.roots.map(baseName), strategy, counts);
  }
  return found;
}

/** Whether every directory has a volume of its own, and no content is anywhere else. */
export function isPerPath(choice: PushedChoice, { pushed }: PushedClosure): boolean {
  return spread(choice) === pushed.paths.size;
}

/** Whether a store image has all but roots. */
function isBundle({ store, own }: PushedChoice, { closure }: PushedClosure): boolean {
  return (store?.own ?? own).isSubsetOf(new Set(closure.roots));
}
