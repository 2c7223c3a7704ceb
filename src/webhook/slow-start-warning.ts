import type { ResolvedName, ResolvedRoots } from "../patch/volume-set.ts";
import type { KubeletLimits } from "../plan/budget.ts";
import { choosePushed } from "../plan/choose-pushed.ts";
import { estimateStart, type StartLoad } from "../plan/estimate.ts";
import type { PodClosures } from "./pod-closures.ts";

/** A start that is estimated to take more than so many times as long as with strategy auto is worth a warning. */
const farOff = 2;

/** Images of a Pod's closures, and those of them that lie in an ordinary registry. */
type Images = Required<Pick<StartLoad, "images" | "pushedImages">>;

/**
 * Warns of a Pod that is estimated to start far slower than it could, on a node that has none of its images.
 *
 * @param images those that the Pod's closures have.
 * @param budget those that the closures of roots may have, as strategy auto counts them; Infinity: no limit.
 * @returns a line at most.
 */
export function warnOfSlowStart(
  images: number,
  { roots, names }: Pick<PodClosures, "roots" | "names">,
  kubelet: KubeletLimits,
  budget: number,
): readonly string[] {
  // What names have is what they would have with auto, too.
  if (roots.length === 0) return [];
  const named = contentOfNames(names);
  const content = contentOf(roots);
  const counted = { images: images - named.images, pushedImages: countPushed(roots) };
  const auto = imagesWithAuto(roots, counted, budget);
  const load = {
    storePaths: content.storePaths + named.storePaths,
    narBytes: content.narBytes + named.narBytes,
    images,
    pushedImages: counted.pushedImages + named.images,
    presentImages: 0,
  };
  const warning = slowStartWarning(load, kubelet, {
    images: auto.images + named.images,
    pushedImages: auto.pushedImages + named.images,
  });
  return warning === undefined ? [] : [warning];
}

/**
 * Compares the estimated cold start of a Pod with that of the same content in fewer images.
 * @returns undefined if they are not far from each other.
 */
export function slowStartWarning(
  load: StartLoad,
  kubelet: KubeletLimits,
  { images, pushedImages }: Images,
): string | undefined {
  const packed = {
    ...load,
    images: Math.min(load.images, images),
    pushedImages: Math.min(load.pushedImages ?? 0, pushedImages),
  };
  const seconds = estimateStart(load, kubelet);
  const packedSeconds = estimateStart(packed, kubelet);
  if (seconds <= farOff * packedSeconds) return undefined;
  return (
    `the Pod's ${load.images} image volumes take about ${seconds.toFixed(0)} s to start on a node without them; ` +
    `with the annotation nix.closure/strategy: auto they are at most ${packed.images}, about ${packedSeconds.toFixed(0)} s`
  );
}

/** The most images that strategy auto comes to where there is not room for those that a Pod has now. */
function imagesWithAuto(closures: readonly ResolvedRoots[], now: Images, budget: number): Images {
  const wanted = closures.map(({ plan: { source, closure }, profileRoots, pushed }) => {
    return { source, closure, profileRoots, pushed };
  });
  const { images, left } = choosePushed(wanted, { strategy: "auto", maxImages: budget });
  const others = closures.filter(({ pushed }) => pushed === undefined).length;
  const made = Math.min(now.images - now.pushedImages, Math.max(left, others));
  return { images: images + made, pushedImages: images };
}

function countPushed(closures: readonly ResolvedRoots[]): number {
  const volumes = closures.flatMap(({ plan }) => plan.volumes).filter(({ image }) => image.kind === "pushed");
  return new Set(volumes.map(({ reference }) => reference)).size;
}

/** What names bring on nodes of the system that has the most of it, and their images. */
function contentOfNames(
  names: readonly ResolvedName[],
): Pick<StartLoad, "images" | "storePaths" | "narBytes"> {
  const most = (figure: "paths" | "narSize"): number =>
    names.reduce(
      (sum, { named }) => sum + Math.max(...named.document.closures.map((closure) => closure[figure])),
      0,
    );
  const references = names.flatMap(({ volumes }) => volumes.map(({ reference }) => reference));
  return { images: new Set(references).size, storePaths: most("paths"), narBytes: most("narSize") };
}

/** What all plans carry, what several need once. */
function contentOf(closures: readonly ResolvedRoots[]): Pick<StartLoad, "storePaths" | "narBytes"> {
  const sizes = new Map(
    closures.flatMap(({ plan: { source, closure } }) =>
      closure.paths.map(({ storePath, narSize }) => [`${source} ${storePath}`, narSize] as const),
    ),
  );
  return { storePaths: sizes.size, narBytes: [...sizes.values()].reduce((sum, size) => sum + size, 0) };
}
