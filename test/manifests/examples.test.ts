import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { parsePod } from "../../src/patch/pod.ts";
import { testAdmission } from "../patch/test-admission.ts";
import { chart, parseManifest } from "./chart.ts";
import { podSpecs, restrictedProblems } from "./pod-specs.ts";

const manifests = new URL("../", chart);
const read = (path: string): string => readFileSync(new URL(path, manifests), "utf8");
const resourcesOf = (folder: string): readonly string[] =>
  (parse(read(`${folder}/kustomization.yaml`)) as { resources: string[] }).resources;

describe("examples", () => {
  const files = readdirSync(new URL("examples/", manifests)).filter((name) => name !== "kustomization.yaml");
  const objects = files.flatMap((file) => parseManifest(read(`examples/${file}`)));
  const pods = podSpecs(objects).map((pod) => ({ name: pod.object.metadata.name, ...pod }));

  test("kubectl apply -k gets all of them, the namespace first", () => {
    expect(resourcesOf("examples").toSorted()).toEqual(files.toSorted());
    expect(resourcesOf("examples")[0]).toBe("namespace.yaml");
  });

  test("all of them lie in their namespace, which is restricted", () => {
    const [namespace, ...others] = objects.toSorted((a) => (a.kind === "Namespace" ? -1 : 1));
    expect(namespace?.metadata).toMatchObject({
      name: "nix-closure-examples",
      labels: { "pod-security.kubernetes.io/enforce": "restricted" },
    });
    expect(new Set(others.map(({ metadata }) => metadata.namespace))).toEqual(
      new Set(["nix-closure-examples"]),
    );
  });

  test.for(pods)("$name is for a restricted namespace", ({ spec }) => {
    expect(restrictedProblems(spec)).toEqual([]);
  });

  test.for(pods)(
    "every container of $name gets a closure out of the demo's cache",
    async ({ spec, annotations }) => {
      const pod = parsePod({ metadata: { annotations }, spec });
      const injection = await testAdmission().inject(pod, "nix-closure-examples");
      expect(injection?.warnings).toEqual([]);
      const containers = [
        ...(injection?.pod.spec.initContainers ?? []),
        ...(injection?.pod.spec.containers ?? []),
      ];
      for (const { image, volumeMounts = [] } of containers) {
        expect(image).toBe("localhost:5417/base:1");
        expect(volumeMounts.some(({ mountPath }) => mountPath.startsWith("/nix/store/"))).toBe(true);
      }
    },
  );
});

describe("kind", () => {
  const objects = parseManifest(read("kind/demo-cache.yaml"));

  test("kubectl apply -k gets the chart's part and the cache", () => {
    expect(resourcesOf("kind")).toEqual(["nix-closure.yaml", "demo-cache.yaml"]);
  });

  test("the cache needs nothing but its directory", () => {
    const [pod] = podSpecs(objects);
    expect(restrictedProblems(pod!.spec)).toEqual(["volume cache: hostPath"]);
  });

  test("the cache lies where the nodes have it", () => {
    const [pod] = podSpecs(objects);
    const cache = pod!.spec.volumes?.find(({ name }) => name === "cache");
    const { path } = cache!["hostPath"] as { path: string };
    const { nodes } = parse(readFileSync(new URL("../kind-config.yaml", manifests), "utf8")) as {
      nodes: { extraMounts: { hostPath: string; containerPath: string }[] }[];
    };
    for (const { extraMounts } of nodes)
      expect(extraMounts).toContainEqual(
        expect.objectContaining({ hostPath: "./demo/cache", containerPath: path }),
      );
  });
});
