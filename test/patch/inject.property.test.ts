import fc from "fast-check";
import { describe, test } from "vitest";
import { allContainers, parsePod, type Pod } from "../../src/patch/pod.ts";
import { applyChange, change } from "./arbitrary-changes.ts";
import { annotationsFor, userPod } from "./arbitrary-pods.ts";
import { expectSound, jsonCopy } from "./invariants.ts";
import { testAdmission } from "./test-admission.ts";

const admission = testAdmission();

/** Injects a Pod, holds the result against all invariants, and gives it back as a new object. */
async function inject(pod: Pod): Promise<Pod> {
  const parsed = parsePod(jsonCopy(pod));
  const injection = await admission.inject(parsed, undefined);
  await expectSound(parsed, injection!, admission);
  return jsonCopy(injection!.pod);
}

describe("injection", () => {
  test("is sound for any Pod", async () => {
    await fc.assert(
      fc.asyncProperty(userPod, async (pod) => {
        await inject(pod);
      }),
      { numRuns: 120 },
    );
  });

  test("is sound for any Pod that comes back, whatever happened to it", async () => {
    const returned = fc.record({
      pod: userPod,
      changes: fc.array(change, { maxLength: 5 }),
    });
    await fc.assert(
      fc.asyncProperty(returned, async ({ pod, changes }) => {
        const changed = changes.reduce(applyChange, await inject(pod));
        await inject(changed);
      }),
      { numRuns: 120 },
    );
  });

  test("is sound for any Pod that comes back with other annotations", async () => {
    const returned = userPod.chain((pod) =>
      fc.record({
        pod: fc.constant(pod),
        changes: fc.array(change, { maxLength: 3 }),
        annotations: annotationsFor(allContainers(pod).map(({ name }) => name)),
      }),
    );
    await fc.assert(
      fc.asyncProperty(returned, async ({ pod, changes, annotations }) => {
        const changed = changes.reduce(applyChange, await inject(pod));
        await inject({ ...changed, metadata: { ...changed.metadata, annotations } });
      }),
      { numRuns: 120 },
    );
  });
});
