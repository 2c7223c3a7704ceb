/** How far the estimates of src/plan/estimate.ts are from what the cluster measured, and the costs that would fit best. */
import type { KubeletLimits } from "../src/plan/budget.ts";
import { estimateStart, startCosts, type StartCosts } from "../src/plan/estimate.ts";
import type { Goal } from "./figure.ts";

/** The median of one measurement: a Pod of one closure and one strategy, started cold on one kind of kubelet. */
export interface ColdStart {
  readonly images: number;
  /** Store paths in the images. */
  readonly paths: number;
  readonly narBytes: number;
  readonly kubelet: KubeletLimits;
  readonly medianSeconds: number;
}

/** A measurement with its estimate. */
export interface CheckedEstimate extends ColdStart {
  readonly estimatedSeconds: number;
  /** Estimate less measurement, as a part of the measurement: 0.3 is 30 % too much. */
  readonly off: number;
}

/** Holds estimates against measurements. */
export function checkEstimates(
  starts: readonly ColdStart[],
  costs: StartCosts = startCosts,
): readonly CheckedEstimate[] {
  return starts.map((start) => {
    const { images, paths: storePaths, narBytes, kubelet, medianSeconds } = start;
    const estimatedSeconds = estimateStart(
      { images, storePaths, narBytes, presentImages: 0 },
      kubelet,
      costs,
    );
    return { ...start, estimatedSeconds, off: estimatedSeconds / medianSeconds - 1 };
  });
}

/** The goal of the estimates: the one that is farthest off is within 30 % of what was measured. */
export function estimateGoal(starts: readonly ColdStart[]): Goal {
  const offs = checkEstimates(starts).map(({ off }) => Math.abs(off));
  return {
    what: "estimated cold start, farthest from the measured one",
    // Nothing measured is no goal reached.
    measured: offs.length === 0 ? Infinity : Math.max(...offs),
    atMost: 0.3,
  };
}

/** Rounds of descent; four costs settle in some hundred. */
const rounds = 20_000;

/**
 * Fits the costs to cold starts: the smallest squares of relative errors with no cost below 0. Only starts on a kubelet
 * without a limit count, since a pacing registry hides what pulls cost. The cost of a volume that is there is kept.
 */
export function fitCosts(starts: readonly ColdStart[]): StartCosts {
  const rows = starts
    .filter(({ kubelet }) => kubelet.registryPullQPS === 0)
    .map(({ images, paths, narBytes, medianSeconds }) =>
      [1, images, paths, narBytes].map((value) => value / medianSeconds),
    );
  const columns = [0, 1, 2, 3].map((column) => rows.map((row) => row[column] ?? 0));
  const costs = columns.map(() => 0);
  const rest = rows.map(() => 1);
  // One cost after the other is set to what is best with the others as they are (coordinate descent).
  for (let round = 0; round < rounds; round++) {
    for (const [at, column] of columns.entries()) {
      const squares = column.reduce((sum, value) => sum + value * value, 0);
      const slope = column.reduce((sum, value, i) => sum + value * (rest[i] ?? 0), 0);
      const before = costs[at] ?? 0;
      const after = squares === 0 ? 0 : Math.max(0, before + slope / squares);
      costs[at] = after;
      for (const [i, value] of column.entries()) rest[i] = (rest[i] ?? 0) - value * (after - before);
    }
  }
  const [fixedSeconds = 0, imageSeconds = 0, storePathSeconds = 0, byteSeconds = 0] = costs;
  return { ...startCosts, fixedSeconds, imageSeconds, storePathSeconds, byteSeconds };
}
