import type { Injection } from "../patch/inject.ts";
import type { KubeletLimits } from "../plan/budget.ts";
import { estimateStart, type StartLoad } from "../plan/estimate.ts";
import type { Plan } from "../plan/plan.ts";

/** A start that is estimated to take more than so many times as long as with strategy auto is worth a warning. */
const farOff = 2;

/**
 * Adds a warning to an injection whose Pod is estimated to start far slower than it could, on a node that has none of
 * its images. A Pod that was injected before keeps its volumes whatever it says, so it gets none.
 *
 * @param before the Pod as it came.
 * @param plans those of the Pod's closures.
 * @param budget images that the Pod's closures may have, as strategy auto counts them; Infinity: no limit.
 */
export function warnOfSlowStart(
  injection: Injection,
  before: Injection["pod"],
  plans: readonly Plan[],
  kubelet: KubeletLimits,
  budget: number,
): Injection {
  const { pod, volumes, warnings } = injection;
  if (pod === before || plans.length === 0) return injection;
  const load = { ...contentOf(plans), images: volumes, presentImages: 0 };
  const warning = slowStartWarning(load, kubelet, Math.max(budget, plans.length));
  return warning === undefined ? injection : { ...injection, warnings: [...warnings, warning] };
}

/**
 * Compares the estimated cold start of a Pod with that of the same content in as many images as fit a budget.
 * @returns undefined if they are not far from each other.
 */
export function slowStartWarning(
  load: StartLoad,
  kubelet: KubeletLimits,
  budget: number,
): string | undefined {
  const packed = { ...load, images: Math.min(load.images, budget) };
  const seconds = estimateStart(load, kubelet);
  const packedSeconds = estimateStart(packed, kubelet);
  if (seconds <= farOff * packedSeconds) return undefined;
  return (
    `the Pod's ${load.images} image volumes take about ${seconds.toFixed(0)} s to start on a node without them; ` +
    `with the annotation nix.closure/strategy: auto they are ${packed.images}, about ${packedSeconds.toFixed(0)} s`
  );
}

/** What all plans carry, what several need once. */
function contentOf(plans: readonly Plan[]): Pick<StartLoad, "storePaths" | "narBytes"> {
  const sizes = new Map(
    plans.flatMap(({ source, closure }) =>
      closure.paths.map(({ storePath, narSize }) => [`${source} ${storePath}`, narSize] as const),
    ),
  );
  return { storePaths: sizes.size, narBytes: [...sizes.values()].reduce((sum, size) => sum + size, 0) };
}
