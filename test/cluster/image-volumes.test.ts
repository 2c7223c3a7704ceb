import { describe, expect, test } from "vitest";
import { gateInLine, needsGate, supportsImageVolumes } from "../../src/cluster/image-volumes.ts";

const drops = /drops image volumes/;

describe("an API server keeps image volumes", () => {
  test.for<[version: string, gate: boolean | undefined, refusal: RegExp | undefined, assumed: boolean]>([
    ["v1.36.0", undefined, undefined, false],
    ["v1.36.3", false, undefined, false],
    ["v1.37.0-rc.1", undefined, undefined, false],
    ["v1.40.2+k3s1", undefined, undefined, false],
    ["v1.35.4", true, undefined, false],
    ["v1.35.4-gke.1500", undefined, undefined, true],
    ["v1.35.4", false, drops, false],
    ["v1.34.9", true, undefined, false],
    ["v1.34.9", false, drops, false],
    ["v1.34.9-eks-ac2d5a0", undefined, /cannot be read/, false],
    ["v1.33.1", undefined, /cannot be read/, false],
    ["v1.31.0", true, undefined, false],
    ["v1.30.9", true, /has no image volumes/, false],
    ["v1.9.0", undefined, /has no image volumes/, false],
    ["v1.34 (emulated by v1.36.3)", false, drops, false],
    ["v1.35 (emulated by v1.37.0)", undefined, undefined, true],
    // Nobody knows what these do; they are younger than this program.
    ["v2.0.0", undefined, undefined, true],
    ["", undefined, undefined, true],
  ])("%s with the gate %s", ([version, gate, refusal, assumed]) => {
    const support = supportsImageVolumes(version, gate);
    if (refusal === undefined) expect(support.refusal).toBeUndefined();
    else expect(support.refusal).toMatch(refusal);
    expect(support.assumed ?? false).toBe(assumed);
  });
});

test.for<[string, boolean]>([
  ["v1.36.0", false],
  ["v1.35.9", true],
  ["v1.31.0", true],
  ["v1.30.0", false],
  ["nonsense", false],
])("the gate of %s is asked for: %s", ([version, needed]) => {
  expect(needsGate(version)).toBe(needed);
});

describe("a gate in the metrics", () => {
  const page = [
    "# HELP kubernetes_feature_enabled [BETA] This metric records the data about the stage and enablement of a k8s feature.",
    "# TYPE kubernetes_feature_enabled gauge",
    'kubernetes_feature_enabled{name="ImageVolumeWithDigest",stage="ALPHA"} 0',
    'kubernetes_feature_enabled{name="ImageVolume",stage="BETA"} 1',
    'kubernetes_feature_enabled{name="InPlace",stage=""} 0',
  ].join("\n");

  test.for<[string, boolean | undefined]>([
    ["ImageVolume", true],
    ["ImageVolumeWithDigest", false],
    ["InPlace", false],
    ["Image", undefined],
  ])("%s is %s", ([name, state]) => {
    const states = page.split("\n").map((line) => gateInLine(line, name));
    expect(states.filter((each) => each !== undefined)).toEqual(state === undefined ? [] : [state]);
  });
});
