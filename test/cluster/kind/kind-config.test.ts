import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { adaptKindConfig, type KindConfig } from "./kind-config.ts";

const project = parse(
  readFileSync(new URL("../../../kind-config.yaml", import.meta.url), "utf8"),
) as KindConfig;
const directory = "/clone";

describe("the project's kind-config.yaml", () => {
  test("is what kind gets where nothing has to be changed, with absolute paths", () => {
    const { config, additions } = adaptKindConfig(project, {
      host: { sysResource: true, cgroup: 2 },
      ownImage: false,
      directory,
    });
    const text = JSON.stringify(config).replaceAll("/clone/demo/cache", "./demo/cache");
    expect(JSON.parse(text)).toEqual(project);
    expect(additions).toEqual([]);
  });

  test("mounts the demo's cache on every node, read-only", () => {
    const { config } = adaptKindConfig(project, {
      host: { sysResource: true, cgroup: 2 },
      ownImage: false,
      directory,
    });
    expect(config.nodes).toHaveLength(3);
    for (const node of config.nodes ?? [])
      expect(node.extraMounts).toEqual([
        { hostPath: "/clone/demo/cache", containerPath: "/nix-closure/demo-cache", readOnly: true },
      ]);
  });

  test("keeps the users' patches of kubeadm's configuration when one is added", () => {
    const { config, additions } = adaptKindConfig(project, {
      host: { sysResource: false, cgroup: 1 },
      ownImage: true,
      directory,
    });
    const patches = (config.kubeadmConfigPatches ?? []).map((patch) => parse(patch) as object);
    expect(patches).toEqual([
      ...(project.kubeadmConfigPatches ?? []).map((patch) => parse(patch) as object),
      { kind: "KubeletConfiguration", apiVersion: "kubelet.config.k8s.io/v1beta1", failCgroupV1: false },
    ]);
    expect(config.networking).toEqual({ kubeProxyMode: "nftables" });
    expect(additions).toHaveLength(2);
  });
});
