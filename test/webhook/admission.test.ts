import { describe, expect, test } from "vitest";
import { parsePod, type Pod } from "../../src/patch/pod.ts";
import type { Resolver } from "../../src/resolver/resolver.ts";
import { createAdmission } from "../../src/webhook/admission.ts";
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

  test("are asked for of all where each directory gets a volume", async () => {
    const { inject, asked } = countingAdmission();
    await inject(podWith({ "nix.closure": mixed }));
    expect(asked).toEqual([8]);
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
