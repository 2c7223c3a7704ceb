import { describe, expect, test } from "vitest";
import { parsePod, type Pod } from "../../src/patch/pod.ts";
import type { KubeletLimits } from "../../src/plan/budget.ts";
import { kubelets } from "../../src/plan/estimate.ts";
import type { Resolver } from "../../src/resolver/resolver.ts";
import { createAdmission, type Admission } from "../../src/webhook/admission.ts";
import { slowStartWarning } from "../../src/webhook/slow-start-warning.ts";
import { cli, configFile, fileWith } from "../cli/fake-process.ts";
import { demoClosure, demoPath, demoTypes, madeClosure } from "../patch/closures.ts";
import { nginx } from "../service/demo-cache.ts";
import { testSettings } from "../patch/test-admission.ts";

const { stock, tuned } = kubelets;

describe("a warning of a slow start", () => {
  test.for<[string, images: number, bytes: number, KubeletLimits, budget: number, string?]>([
    ["few images", 8, 1e6, stock, 8],
    ["some more than the budget", 14, 30e6, stock, 8],
    ["many bytes, which any plan has", 41, 10e9, stock, 8],
    ["many images on a tuned kubelet", 190, 1e6, tuned, Infinity],
    [
      "many images on a stock kubelet",
      41,
      85e6,
      stock,
      8,
      "41 .* about 8 s .* they are at most 8, about 2 s",
    ],
    ["very many", 150, 85e6, stock, 8, "150 .* about 31 s .* they are at most 8, about 2 s"],
  ])("%s", ([, images, narBytes, kubelet, budget, words]) => {
    const load = { images, storePaths: images, narBytes, presentImages: 0 };
    const warning = slowStartWarning(load, kubelet, { images: budget, pushedImages: 0 });
    if (words === undefined) expect(warning).toBeUndefined();
    else {
      expect(warning).toMatch(new RegExp(`^the Pod's ${words}$`));
      // API servers cut what is longer.
      expect(warning!.length).toBeLessThanOrEqual(256);
    }
  });
});

describe("a warning of a slow start out of an ordinary registry", () => {
  test.for<[string, images: number, pushed: number, KubeletLimits, budget: number, string?]>([
    ["within the burst", 9, 9, stock, 8],
    ["many on a tuned kubelet", 60, 60, tuned, 48],
    ["beyond the burst", 14, 14, stock, 8, "14 .* about 14 s .* they are at most 8, about 1 s"],
    ["where no plan is smaller", 14, 14, stock, 14],
    ["far beyond", 41, 41, stock, 8, "41 .* about 90 s .* they are at most 8, about 1 s"],
  ])("%s", ([, images, pushedImages, kubelet, budget, words]) => {
    const load = { images, pushedImages, storePaths: images, narBytes: 1e6, presentImages: 0 };
    const warning = slowStartWarning(load, kubelet, { images: budget, pushedImages: budget });
    if (words === undefined) expect(warning).toBeUndefined();
    else expect(warning).toMatch(new RegExp(`^the Pod's ${words}$`));
  });
});

const count = 60;
const names = Array.from({ length: count }, (_, i) => `part${i}`);
const { closure: large, types: largeTypes } = madeClosure(
  ["part59"],
  names.map((name, i) => ({ name, references: i === count - 1 ? names : [] })),
);
const largeRoot = large.roots[0]!;
const hello = demoPath("hello-app");
const closures = new Map([large, demoClosure(hello)].map((closure) => [closure.roots.join(), closure]));

/** A closure of 60 directories beside the demo's small one. */
const resolver: Pick<Resolver, "known" | "resolve" | "pathTypes"> = {
  known: (_source, roots) => closures.get(roots.join()),
  resolve: async (_source, roots) => closures.get(roots.join())!,
  pathTypes: async (_source, paths) =>
    new Map(paths.map((path) => [path, largeTypes.get(path) ?? demoTypes.get(path)!])),
};

function admissionFor(kubelet: KubeletLimits, slowStartWarnings = true): Admission {
  return createAdmission(resolver as Resolver, { ...testSettings, kubelet, slowStartWarnings });
}

function podOf(root: string, strategy = "per-path"): Pod {
  return parsePod({
    metadata: { annotations: { "nix.closure": root, "nix.closure/strategy": strategy } },
    spec: { containers: [{ name: "app", image: "debian:12" }] },
  });
}

describe("admission", () => {
  test.for<[string, KubeletLimits, root: string, strategy: string, warnings: number]>([
    ["warns of a slow start", stock, largeRoot, "per-path", 1],
    ["says nothing of few images", stock, largeRoot, "bundle", 0],
    ["says nothing where the kubelet has no limit", tuned, largeRoot, "per-path", 0],
    ["says nothing of a small closure", stock, hello, "per-path", 0],
  ])("%s", async ([, kubelet, root, strategy, warnings]) => {
    const injection = await admissionFor(kubelet).inject(podOf(root, strategy), "default");
    expect((await admissionFor(kubelet, false).inject(podOf(root, strategy), "default"))!.warnings).toEqual(
      [],
    );
    expect(injection!.warnings).toEqual(
      warnings === 0 ? [] : [expect.stringMatching(/^the Pod's 60 image volumes .* they are at most 8, /)],
    );
  });

  test("warns of a Pod that is prepared too", async () => {
    const admission = admissionFor(stock);
    const first = await admission.patch(podOf(largeRoot), "default");
    expect(first!.warnings).toHaveLength(1);
    expect(admission.patchAtOnce(podOf(largeRoot), "default", 4096)!.warnings).toEqual(first!.warnings);
  });

  test("says nothing of a Pod that came with its volumes, which it keeps", async () => {
    const { pod } = (await admissionFor(stock).inject(podOf(largeRoot), "default"))!;
    expect(await admissionFor(stock).inject(pod, "default")).toMatchObject({
      pod,
      warnings: [],
      volumes: 60,
    });
  });

  test("counts the volumes of all closures of a Pod", async () => {
    const pod = podOf(hello);
    const both: Pod = {
      ...pod,
      metadata: { annotations: { ...pod.metadata.annotations, "container.nix.closure/b": largeRoot } },
      spec: { containers: [...pod.spec.containers, { name: "b" }, { name: "c" }] },
    };
    const { warnings } = (await admissionFor(stock).inject(both, "default"))!;
    expect(warnings).toEqual([expect.stringMatching(/^the Pod's 65 image volumes /)]);
  });
});

test("the configuration turns it on, with the kubelet that it names", async () => {
  const manifest = await fileWith(JSON.stringify({ apiVersion: "v1", kind: "Pod", ...podOf(nginx) }));
  const slow = { registryPullQPS: 1, registryBurst: 5 };
  for (const [changes, expected] of [
    [{ kubelet: slow }, ""],
    [{ plan: { warnings: true } }, ""],
    [
      { kubelet: slow, plan: { warnings: true } },
      expect.stringMatching(
        /: the Pod's 14 image volumes take about 12 s .* they are at most 3, about 1 s\n$/,
      ),
    ],
  ] as const) {
    const config = await configFile(changes);
    const { code, stderr } = await cli(["inject", "-f", manifest, "--config", config]);
    expect([code, stderr]).toEqual([0, expected]);
  }
});
