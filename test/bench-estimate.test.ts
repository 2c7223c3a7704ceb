/** What the benchmark of Pod starts says of the estimates. */
import { describe, expect, test } from "vitest";
import { isReached } from "../bench/figure.ts";
import { checkEstimates, estimateGoal, fitCosts, type ColdStart } from "../bench/pod-start-estimate.ts";
import { estimateStart, kubelets, startCosts, type StartCosts } from "../src/plan/estimate.ts";

const { stock, tuned } = kubelets;

/** Measurements that are as estimates with these costs would have them, times `factor`. */
function startsOf(costs: StartCosts, factor = 1): readonly ColdStart[] {
  const loads = [
    [1, 5, 20e6],
    [5, 5, 20e6],
    [14, 14, 30e6],
    [8, 41, 85e6],
    [41, 41, 85e6],
    [8, 150, 300e6],
    [150, 150, 300e6],
    [8, 400, 200e6],
  ] as const;
  return [stock, tuned].flatMap((kubelet) =>
    loads.map(([images, paths, narBytes]) => {
      const load = { images, storePaths: paths, narBytes, presentImages: 0 };
      const medianSeconds = estimateStart(load, kubelet, costs) * factor;
      return { images, paths, narBytes, kubelet, medianSeconds };
    }),
  );
}

describe("estimates", () => {
  test("are as far off as they are", () => {
    const [first] = startsOf(startCosts);
    const slower = { ...first!, medianSeconds: first!.medianSeconds * 2 };
    const [exact, half] = checkEstimates([first!, slower]);
    expect(exact!.off).toBeCloseTo(0, 9);
    expect(half!.off).toBeCloseTo(-0.5, 9);
    expect(half!.estimatedSeconds).toBeCloseTo(first!.medianSeconds, 9);
  });

  test.for([
    [1, true],
    [1.25, true],
    [0.8, true],
    [1.5, false],
    [0.7, false],
  ] as const)("reach their goal where all took %d times as long: %s", ([factor, reached]) => {
    expect(isReached(estimateGoal(startsOf(startCosts, factor)))).toBe(reached);
  });

  test("miss it for one that is too far off, and where nothing was measured", () => {
    const [first, ...others] = startsOf(startCosts);
    const odd = { ...first!, medianSeconds: first!.medianSeconds / 2 };
    expect(estimateGoal([odd, ...others]).measured).toBeCloseTo(1, 9);
    expect(isReached(estimateGoal([]))).toBe(false);
  });
});

describe("fitted costs", () => {
  const costs: StartCosts = {
    fixedSeconds: 0.9,
    imageSeconds: 0.03,
    storePathSeconds: 0.004,
    byteSeconds: 1 / 60e6,
    presentImageSeconds: 0.01,
  };

  test("are those that the measurements were made of", () => {
    const fitted = fitCosts(startsOf(costs));
    for (const key of ["fixedSeconds", "imageSeconds", "storePathSeconds", "byteSeconds"] as const)
      expect(fitted[key] / costs[key], key).toBeCloseTo(1, 2);
  });

  test("are never below 0", () => {
    const falling = startsOf(costs).map((start) => ({ ...start, medianSeconds: 10 / start.images }));
    for (const value of Object.values(fitCosts(falling))) expect(value).toBeGreaterThanOrEqual(0);
  });

  test("do not come from a kubelet whose pulls are paced", () => {
    const starts = startsOf(costs);
    const paced = starts.map((start) =>
      start.kubelet === stock ? { ...start, medianSeconds: 1000 } : start,
    );
    expect(fitCosts(paced)).toEqual(fitCosts(starts));
  });
});
