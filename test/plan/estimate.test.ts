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

  test.for<[string, KubeletLimits, images: number, pushed: number, waited: number]>([
    ["no wait within the burst and what comes back meanwhile", stock, 20, 20, 0],
    ["a wait for another attempt", stock, 21, 21, 12.5],
    ["waits that double", stock, 61, 61, 12.5 + 25 + 50],
    ["no wait without a limit", tuned, 500, 500, 0],
    ["a wait of five minutes at most", { registryPullQPS: 0.1, registryBurst: 1 }, 9, 9, 12.5 * 31 + 3 * 300],
    ["a wait where paced images have had some of the burst", stock, 14, 7, 12.5],
    ["no wait for what paced images have left", stock, 40, 4, 28 / 4.75 - 4],
  ])("has for images that nobody paces %s", ([, kubelet, images, pushedImages, waited]) => {
    const load = { images, pushedImages, storePaths: 0, narBytes: 0, presentImages: 0 };
    expect(estimateStart(load, kubelet, costs)).toBeCloseTo(1 + images * costs.imageSeconds + waited, 9);
  });

  test("is near what was measured before pulls were paced", () => {
    const load = { images: 41, pushedImages: 41, storePaths: 41, narBytes: 85e6, presentImages: 0 };
    expect(estimateStart(load, stock)).toBeGreaterThan(88 * 0.9);
    expect(estimateStart(load, stock)).toBeLessThan(88 * 1.1);
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
