import { describe, expect, test } from "vitest";
import { parsePod, type Pod } from "../../src/patch/pod.ts";
import type { Resolver } from "../../src/resolver/resolver.ts";
import { createAdmission, type AdmissionSettings } from "../../src/webhook/admission.ts";
import { demoClosure, demoPath, demoTypes } from "../patch/closures.ts";
import { testAdmission, testSettings } from "../patch/test-admission.ts";

const mixed = demoPath("mixed-app-1.0");

function podWith(annotations: Readonly<Record<string, string>>): Pod {
  return parsePod({ metadata: { annotations }, spec: { containers: [{ name: "app", image: "debian:12" }] } });
}

test("a Pod that asks for nothing needs no resolver", async () => {
  const admission = createAdmission({} as Resolver, testSettings);
  expect(await admission.inject(podWith({}), "default")).toBeUndefined();
});

describe("namespaces", () => {
  const pod = podWith({ "nix.closure": `team: ${mixed}` });

  test.for(["team-web", "build"])("%s may use the source", async (namespace) => {
    expect(await testAdmission().inject(pod, namespace)).toBeDefined();
  });

  test("another one may not, and nothing is resolved for it", async () => {
    const admission = createAdmission({} as Resolver, testSettings);
    await expect(admission.inject(pod, "default")).rejects.toMatchObject({
      code: "NAMESPACE_NOT_ALLOWED",
      status: 403,
    });
  });

  test("a manifest without one is not refused for it", async () => {
    expect(await testAdmission().inject(pod, undefined)).toBeDefined();
  });

  test("one source of several that is not allowed is enough", async () => {
    const several = podWith({ "nix.closure": mixed, "container.nix.closure/app": `team: ${mixed}` });
    await expect(testAdmission().inject(several, "default")).rejects.toMatchObject({
      code: "NAMESPACE_NOT_ALLOWED",
    });
  });
});

describe("path types", () => {
  /** The numbers of types asked for, one for each call. */
  function countingAdmission(): { readonly inject: (pod: Pod) => Promise<Pod>; readonly asked: number[] } {
    const asked: number[] = [];
    const resolver: Pick<Resolver, "known" | "resolve" | "pathTypes"> = {
      known: () => undefined,
      resolve: async (_source, roots) => demoClosure(...roots),
      pathTypes: async (_source, paths) => {
        asked.push(paths.length);
        return new Map(paths.map((path) => [path, demoTypes.get(path)!]));
      },
    };
    const admission = createAdmission(resolver as Resolver, testSettings);
    return { inject: async (pod) => (await admission.inject(pod, "default"))!.pod, asked };
  }

  test("are asked for of the root alone for a bundle, of all where there are volumes of ours to judge", async () => {
    const { inject, asked } = countingAdmission();
    const injected = await inject(podWith({ "nix.closure": mixed, "nix.closure/strategy": "bundle" }));
    expect(await inject(injected)).toBe(injected);
    expect(asked).toEqual([1, 8]);
  });

  test("are asked for of the root and the largest paths where the closure is packed", async () => {
    const { inject, asked } = countingAdmission();
    // Of 20 paths three beside the root are worth an image, should they be directories.
    await inject(podWith({ "nix.closure": demoPath("python3-defaults-3.11.2-1+b1") }));
    expect(asked).toEqual([4]);
  });

  test("are asked for of all where each directory gets a volume", async () => {
    const { inject, asked } = countingAdmission();
    await inject(podWith({ "nix.closure": mixed }));
    expect(asked).toEqual([8]);
  });
});

describe("a packed Pod", () => {
  const nginx = demoPath("nginx-app-1.0");
  const pod = podWith({ "nix.closure": nginx });
  const sidecars = ["proxy", "logs", "mesh"].map((name) => ({ name, image: `${name}:1` }));
  const volumesOf = ({ spec }: Pod): number => (spec.volumes ?? []).length;
  const withSidecars = (from: Pod): Pod => ({
    ...from,
    spec: { ...from.spec, containers: [...from.spec.containers, ...sidecars] },
  });

  test("has volumes for what its other images leave of the kubelet's burst", async () => {
    const injected = async (asked: Pod, settings: Partial<AdmissionSettings> = {}): Promise<number> =>
      volumesOf((await testAdmission(settings).inject(asked, "default"))!.pod);
    // Beside its root and the store image three paths are worth an image.
    expect(await injected(pod)).toBe(5);
    expect(await injected(withSidecars(pod))).toBe(5);
    const kubelet = { registryPullQPS: 5, registryBurst: 9 };
    expect(await injected(withSidecars(pod), { kubelet })).toBe(4);
    expect(await injected(pod, { kubelet: { registryPullQPS: 10, registryBurst: 16 } })).toBe(14);
    expect(await injected(pod, { kubelet: { registryPullQPS: 0, registryBurst: 1 } })).toBe(14);
    expect(await injected(pod, { maxVolumes: 3 })).toBe(3);
  });

  test("is as it should be at a second review, although a sidecar came meanwhile", async () => {
    const admission = testAdmission();
    const { pod: injected } = (await admission.inject(pod, "default"))!;
    expect((await admission.inject(injected, "default"))!.pod).toBe(injected);
    const joined = withSidecars(injected);
    expect((await admission.inject(joined, "default"))!.pod).toBe(joined);
    // So it is for a webhook that knows of nothing before, and with other limits.
    for (const settings of [{}, { maxVolumes: 3 }, { kubelet: { registryPullQPS: 0, registryBurst: 1 } }])
      expect((await testAdmission(settings).inject(joined, "default"))!.pod).toBe(joined);
  });

  test("with two closures is so too, and gets its share of the plan anew if one volume is lost", async () => {
    const admission = testAdmission();
    const two = parsePod({
      metadata: { annotations: { "nix.closure": nginx, "container.nix.closure/app": mixed } },
      spec: { containers: ["app", "web"].map((name) => ({ name, image: "debian:12" })) },
    });
    const { pod: injected } = (await admission.inject(two, "default"))!;
    expect(volumesOf(injected)).toBe(8);
    expect((await admission.inject(injected, "default"))!.pod).toBe(injected);
    for (const lost of injected.spec.volumes ?? []) {
      const volumes = (injected.spec.volumes ?? []).filter((volume) => volume !== lost);
      const damaged = { ...injected, spec: { ...injected.spec, volumes } };
      const { pod: mended } = (await testAdmission().inject(damaged, "default"))!;
      const references = ({ spec }: Pod): ReadonlySet<string | undefined> =>
        new Set((spec.volumes ?? []).map(({ image }) => image?.reference));
      expect(references(mended)).toEqual(references(injected));
    }
  });

  test("is planned anew where another closure of the same Pod changes its share", async () => {
    const admission = testAdmission();
    const both = parsePod({
      metadata: {
        annotations: {
          "nix.closure": nginx,
          "container.nix.closure/app": demoPath("python3-defaults-3.11.2-1+b1"),
        },
      },
      spec: { containers: ["app", "web"].map((name) => ({ name, image: "debian:12" })) },
    });
    const alone = volumesOf((await admission.inject(pod, "default"))!.pod);
    const together = volumesOf((await admission.inject(both, "default"))!.pod);
    expect([alone, together, volumesOf((await admission.inject(pod, "default"))!.pod)]).toEqual([5, 8, 5]);
  });
});

test("each distinct closure is resolved once, with the review's signal", async () => {
  const calls: unknown[] = [];
  const { signal } = new AbortController();
  const resolver: Pick<Resolver, "resolve" | "pathTypes"> = {
    resolve: async (...call) => {
      calls.push(call);
      return demoClosure(...call[1]);
    },
    pathTypes: async (_source, paths, passed) => {
      expect(passed).toBe(signal);
      return new Map(paths.map((path) => [path, demoTypes.get(path)!]));
    },
  };
  const hello = demoPath("hello-app");
  const pod = parsePod({
    metadata: {
      annotations: {
        "nix.closure": `${mixed} ${hello}`,
        "container.nix.closure/b": `${hello} ${mixed}`,
        "container.nix.closure/c": `other: ${hello}`,
      },
    },
    spec: { containers: ["a", "b", "c"].map((name) => ({ name })) },
  });
  await createAdmission(resolver as Resolver, testSettings).inject(pod, "default", signal);
  expect(calls).toEqual([
    ["demo", [mixed, hello], signal],
    ["other", [hello], signal],
  ]);
});

test("a Pod without containers stays as it is", async () => {
  const pod = parsePod({
    metadata: { annotations: { "nix.closure": demoPath("hello-app") } },
    spec: { containers: [] },
  });
  expect((await testAdmission().inject(pod, "default"))?.pod).toBe(pod);
});

test("a closure that no container gets is not resolved", async () => {
  const asked: unknown[] = [];
  const resolver: Pick<Resolver, "resolve" | "pathTypes"> = {
    resolve: async (source, roots) => {
      asked.push(source);
      return demoClosure(...roots);
    },
    pathTypes: async (_source, paths) => new Map(paths.map((path) => [path, demoTypes.get(path)!])),
  };
  const pod = podWith({ "nix.closure": `other: ${mixed}`, "container.nix.closure/app": mixed });
  await createAdmission(resolver as Resolver, testSettings).inject(pod, "default");
  expect(asked).toEqual(["demo"]);
});
