import { describe, expect, test } from "vitest";
import type { KubeletLimits } from "../../src/plan/budget.ts";
import { estimateStart, kubelets, type StartCosts } from "../../src/plan/estimate.ts";

/** Round figures, so that each part of a sum can be seen. */
const costs: StartCosts = {
  fixedSeconds: 1,
  imageSeconds: 0.1,
  storePathSeconds: 0.01,
  byteSeconds: 1e-6,
  presentImageSeconds: 0.001,
};
const { stock, tuned } = kubelets;
const slow: KubeletLimits = { registryPullQPS: 1, registryBurst: 1 };

describe("an estimate", () => {
  test.for<[string, KubeletLimits, images: number, paths: number, bytes: number, present: number, number]>([
    ["of no volume is what every Pod takes", stock, 0, 0, 0, 0, 1],
    ["counts images, paths and bytes", tuned, 5, 20, 2e6, 0, 1 + 0.5 + 0.2 + 2],
    ["counts volumes that are there", stock, 0, 0, 0, 30, 1.03],
    ["knows no pacing without a limit", tuned, 100, 0, 0, 0, 11],
    ["is not paced within the burst less what is kept for others", stock, 8, 0, 0, 0, 1.8],
    ["has what lies beyond at the limiter's rate", stock, 27, 0, 0, 0, 1 + 19 / 4.75],
    ["has the pulls only where they take longer than the pacing", stock, 27, 0, 5e6, 0, 1 + 2.7 + 5],
    ["adds volumes that are there to the pacing", stock, 27, 0, 0, 500, 1 + 19 / 4.75 + 0.5],
    ["paces every image where the burst leaves nothing", slow, 2, 0, 0, 0, 1 + 2 / 0.95],
  ])("%s", ([, kubelet, images, storePaths, narBytes, presentImages, seconds]) => {
    const load = { images, storePaths, narBytes, presentImages };
    expect(estimateStart(load, kubelet, costs)).toBeCloseTo(seconds, 9);
  });

  /** A Pod of 41 paths with 85 MB, on a paced stock kubelet, on a tuned one, and where all is there. */
  test("is near what was measured before there was a benchmark", () => {
    const load = { images: 41, storePaths: 41, narBytes: 85e6, presentImages: 0 };
    expect(estimateStart(load, stock)).toBeGreaterThan(7.8 * 0.7);
    expect(estimateStart(load, stock)).toBeLessThan(8.7 * 1.3);
    const warm = { images: 0, storePaths: 0, narBytes: 0, presentImages: 41 };
    expect(estimateStart(warm, stock)).toBeGreaterThan(1.1 * 0.7);
    expect(estimateStart(warm, stock)).toBeLessThan(1.2 * 1.3);
  });
});
