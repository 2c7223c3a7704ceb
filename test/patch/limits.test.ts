import { describe, expect, test } from "vitest";
import { NixClosureError } from "../../src/errors.ts";
import type { Injection } from "../../src/patch/inject.ts";
import { parsePod, type Pod } from "../../src/patch/pod.ts";
import type { Resolver } from "../../src/resolver/resolver.ts";
import { createAdmission } from "../../src/webhook/admission.ts";
import { madeClosure } from "./closures.ts";
import { testAdmission, testSettings } from "./test-admission.ts";

const mebibyte = 1024 * 1024;
const hello = "/nix/store/4vlwxs24hwlvm23q063xvdmkzvlxjw1s-hello-app";

function podWith(annotations: Readonly<Record<string, string>>, padding = 0): Pod {
  return parsePod({
    metadata: { name: "app", annotations },
    spec: { containers: [{ name: "app", image: "debian:12", args: ["x".repeat(padding)] }] },
  });
}

async function refusalOf(injection: Promise<unknown>): Promise<NixClosureError> {
  const error: unknown = await injection.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof NixClosureError)) throw new Error("it was not refused", { cause: error });
  return error;
}

describe("volumes of a Pod", () => {
  /** Injects a Pod whose closure is one directory that needs all others. */
  async function injectPaths(count: number, strategy: string): Promise<Injection | undefined> {
    const paths = Array.from({ length: count }, (_, i) => ({ name: `p${i}` }));
    const root = { name: "root", references: paths.slice(1).map(({ name }) => name) };
    const { closure, types } = madeClosure(["root"], [root, ...paths.slice(1)]);
    const resolver: Pick<Resolver, "known" | "resolve" | "pathTypes"> = {
      known: () => closure,
      resolve: async () => closure,
      pathTypes: async () => types,
    };
    const admission = createAdmission(resolver as Resolver, testSettings);
    return admission.inject(
      podWith({ "nix.closure": closure.roots[0]!, "nix.closure/strategy": strategy }),
      "default",
    );
  }

  test("200 are put in", async () => {
    const injection = await injectPaths(200, "per-path");
    expect(injection?.volumes).toBe(200);
    expect(injection?.pod.spec.volumes).toHaveLength(200);
  });

  test("201 are refused, with the figure and the limit", async () => {
    const error = await refusalOf(injectPaths(201, "per-path"));
    expect([error.code, error.status]).toEqual(["TOO_MANY_VOLUMES", 422]);
    expect(error.message).toContain("201 image volumes, the limit is 200");
  });

  test("a bundle holds as many paths as there are", async () => {
    expect((await injectPaths(2000, "bundle"))?.volumes).toBe(2);
  });
});

describe("size of the patched object", () => {
  const size = (pod: Pod): number => Buffer.byteLength(JSON.stringify(pod));

  test("of 1 MiB is the most, in bytes and not in characters", async () => {
    const admission = testAdmission();
    const small = await admission.inject(podWith({ "nix.closure": hello, note: "é" }), "default");
    const padding = mebibyte - size(small!.pod);
    const largest = await admission.inject(podWith({ "nix.closure": hello, note: "é" }, padding), "default");
    expect(size(largest!.pod)).toBe(mebibyte);

    const error = await refusalOf(
      admission.inject(podWith({ "nix.closure": hello, note: "é" }, padding + 1), "default"),
    );
    expect([error.code, error.status]).toEqual(["OBJECT_TOO_LARGE", 422]);
    expect(error.message).toContain("the limit is 1.0 MiB");
  });

  test("is no concern where nothing is patched", async () => {
    const admission = testAdmission();
    const injected = (await admission.inject(podWith({ "nix.closure": hello }), "default"))!.pod;
    const [container] = injected.spec.containers;
    const large = parsePod({
      ...injected,
      spec: { ...injected.spec, containers: [{ ...container, args: ["x".repeat(2 * mebibyte)] }] },
    });
    expect((await admission.inject(large, "default"))?.pod).toBe(large);
  });
});
