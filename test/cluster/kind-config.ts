import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { cacheDirectory, projectRoot } from "./cache.ts";
import type { Host } from "./host.ts";

/** The parts of kind's configuration that are read or added to (kind.x-k8s.io/v1alpha4). */
interface KindConfig {
  readonly name: string;
  readonly networking?: Readonly<Record<string, unknown>>;
  readonly kubeadmConfigPatches?: readonly string[];
}

/** A configuration for kind. */
export interface DerivedConfig {
  readonly file: string;
  readonly clusterName: string;
  /** What was added, in words. */
  readonly additions: readonly string[];
}

/** The project's kind-config.yaml with what this machine and a node image of one's own need. */
export async function deriveKindConfig(host: Host, ownImage: boolean): Promise<DerivedConfig> {
  const config = parse(await readFile(new URL("kind-config.yaml", projectRoot), "utf8")) as KindConfig;
  const additions: string[] = [];
  let { networking = {}, kubeadmConfigPatches = [] } = config;
  if (ownImage) {
    networking = { ...networking, kubeProxyMode: "nftables" };
    additions.push("networking.kubeProxyMode nftables: kube-proxy's own image brings nft");
  }
  if (host.cgroup === 1) {
    const patch = {
      kind: "KubeletConfiguration",
      apiVersion: "kubelet.config.k8s.io/v1beta1",
      failCgroupV1: false,
    };
    kubeadmConfigPatches = [...kubeadmConfigPatches, stringify(patch)];
    additions.push(
      "KubeletConfiguration failCgroupV1 false: this machine has version 1 of the control groups",
    );
  }
  const file = join(cacheDirectory, "kind-config.yaml");
  await writeFile(file, stringify({ ...config, networking, kubeadmConfigPatches }));
  return { file, clusterName: config.name, additions };
}
