import { describe, expect, test } from "vitest";
import { findPodTemplates } from "../../src/patch/workload.ts";

const template = { metadata: { annotations: { "nix.closure": "x" } }, spec: { containers: [] } };

describe("Pod templates", () => {
  test.for<[kind: string, path: readonly string[]]>([
    ["PodTemplate", ["template"]],
    ["ReplicationController", ["spec", "template"]],
    ["Deployment", ["spec", "template"]],
    ["ReplicaSet", ["spec", "template"]],
    ["StatefulSet", ["spec", "template"]],
    ["DaemonSet", ["spec", "template"]],
    ["Job", ["spec", "template"]],
    ["CronJob", ["spec", "jobTemplate", "spec", "template"]],
  ])("of a %s are at %j", ([kind, path]) => {
    const annotations = { owner: "yes" };
    const manifest = {
      kind,
      metadata: { name: "web", namespace: "shop", annotations },
      ...(path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), template) as object),
    };
    expect(findPodTemplates(manifest)).toEqual([
      { path, value: template, namespace: "shop", owner: `${kind} "web"`, ownerAnnotations: annotations },
    ]);
  });

  test("a Pod is one itself, and its annotations are its own", () => {
    const pod = { kind: "Pod", metadata: { generateName: "web-", annotations: { "nix.closure": "x" } } };
    expect(findPodTemplates(pod)).toEqual([
      { path: [], value: pod, namespace: undefined, owner: 'Pod "web-"', ownerAnnotations: {} },
    ]);
  });

  test("of lists are those of their items, of lists in lists too", () => {
    const pod = (name: string): object => ({ kind: "Pod", metadata: { name } });
    const deployment = { kind: "Deployment", metadata: { name: "web" }, spec: { template } };
    const list = {
      kind: "List",
      items: [pod("a"), { kind: "Service" }, { kind: "PodList", items: [pod("b")] }, deployment, null, "x"],
    };
    expect(findPodTemplates(list).map(({ path, owner }) => [path, owner])).toEqual([
      [["items", 0], 'Pod "a"'],
      [["items", 3, "spec", "template"], 'Deployment "web"'],
      [["items", 2, "items", 0], 'Pod "b"'],
    ]);
  });

  test.for([
    null,
    undefined,
    "Pod",
    [],
    [{ kind: "Pod" }],
    {},
    { kind: 1 },
    { kind: "Service", spec: { template } },
    { kind: "List", items: {} },
    { kind: "Thing", items: [{ kind: "Pod" }] },
    { kind: "Deployment" },
    { kind: "Deployment", spec: "x" },
    { kind: "CronJob", spec: { template } },
    { kind: "constructor", spec: { template } },
  ])("%j has none", (manifest) => {
    expect(findPodTemplates(manifest)).toEqual([]);
  });
});
