import type { PushedImages } from "../closure-index/pushed-images.ts";
import { storePathName, type StorePath } from "../nix/store-path.ts";
import type { Plan, Strategy } from "./plan.ts";

/** A plan of a Pod's closure, with what the closure was planned from. */
export interface PlannedClosure {
  readonly plan: Plan;
  readonly profileRoots: ReadonlySet<StorePath>;
  readonly pushed?: PushedImages | undefined;
}

/**
 * Warns of pushed closures that bring a Pod above the number of images that a strategy keeps to elsewhere, because none
 * of the plans that they were pushed with is small enough.
 *
 * @returns a line for each.
 */
export function warnOfLargePlans(
  closures: readonly PlannedClosure[],
  { strategy, maxImages }: { readonly strategy: Strategy; readonly maxImages: number },
): readonly string[] {
  if (strategy === "per-path" || strategy === "bundle") return [];
  const images = countImages(closures);
  if (images <= maxImages) return [];
  return closures.flatMap((one) => {
    const { plan, pushed, profileRoots } = one;
    if (pushed === undefined) return [];
    const profiles = [...profileRoots].filter((root) => pushed.paths.has(root)).length;
    const room = Math.max(0, maxImages - countImages(closures.filter((other) => other !== one)));
    // A store image and the profile are what a closure has at least: pushed again, it would have no fewer.
    if (plan.volumes.length <= Math.max(room, profiles + 1)) return [];
    const name = plan.closure.roots.map(storePathName).join(" and ").slice(0, maxNameLength);
    const smaller = room > profiles + 1 ? String(room) : "bundle";
    return [
      `every plan that ${name} was pushed with has ${plan.volumes.length} images or more, and this Pod has room for ${room}: ` +
        `its start may be slow; push it with "--plan ${smaller}" too`,
    ];
  });
}

/** API servers cut warnings at 256 characters; the rest of the sentence has some 150. */
const maxNameLength = 80;

function countImages(closures: readonly PlannedClosure[]): number {
  return new Set(closures.flatMap(({ plan }) => plan.volumes.map(({ reference }) => reference))).size;
}
