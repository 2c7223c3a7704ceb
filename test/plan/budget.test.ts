import { expect, test } from "vitest";
import { pullBudget } from "../../src/plan/budget.ts";

test.for([
  [5, 10, 1, 8],
  [5, 10, 3, 6],
  [5, 10, 9, 0],
  [5, 10, 40, 0],
  [5, 1, 0, 0],
  [50, 100, 2, 97],
  [0.5, 10, 0, 9],
  [0, 10, 40, Infinity],
] as const)(
  "registryPullQPS %d, registryBurst %i: beside %i other images %d",
  ([registryPullQPS, registryBurst, otherImages, expected]) => {
    expect(pullBudget({ registryPullQPS, registryBurst }, otherImages)).toBe(expected);
  },
);
