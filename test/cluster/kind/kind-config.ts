import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parse, stringify } from "yaml";
import { cacheDirectory, projectRoot } from "./cache.ts";
import type { Host } from "./host.ts";

/** The parts of kind's configuration that are read or added to (kind.x-k8s.io/v1alpha4). */
export interface KindConfig {
  readonly name: string;
  readonly nodes?: readonly KindNode[];
  readonly networking?: Readonly<Record<string, unknown>>;
  readonly kubeadmConfigPatches?: readonly string[];
}

interface KindNode {
  readonly role: string;
  readonly extraMounts?: readonly { readonly hostPath: string }[];
}

/** What makes another cluster of the project's configuration. */
export type ConfigChange = (config: KindConfig) => KindConfig;

/** A configuration for kind. */
export interface DerivedConfig {
  readonly file: string;
  readonly clusterName: string;
  /** What was added, in words. */
  readonly additions: readonly string[];
}

/** What a configuration has to be adapted to. */
export interface Adaptation {
  readonly host: Host;
  /** The node image is one of our own. */
  readonly ownImage: boolean;
  /** Where its relative paths begin. */
  readonly directory: string;
}

/**
 * Adds what this machine and a node image of one's own need.
 *
 * @returns the configuration, and what was added, in words
 */
export function adaptKindConfig(
  config: KindConfig,
  { host, ownImage, directory }: Adaptation,
): { readonly config: KindConfig; readonly additions: readonly string[] } {
  const additions: string[] = [];
  let adapted = config;
  // kind resolves them against the current directory, which may be another one here.
  if (config.nodes !== undefined)
    adapted = { ...adapted, nodes: config.nodes.map((node) => withAbsoluteMounts(node, directory)) };
  if (ownImage) {
    adapted = { ...adapted, networking: { ...config.networking, kubeProxyMode: "nftables" } };
    additions.push("networking.kubeProxyMode nftables: kube-proxy's own image brings nft");
  }
  if (host.cgroup === 1) {
    const patch = {
      kind: "KubeletConfiguration",
      apiVersion: "kubelet.config.k8s.io/v1beta1",
      failCgroupV1: false,
    };
    const patches = [...(config.kubeadmConfigPatches ?? []), stringify(patch)];
    adapted = { ...adapted, kubeadmConfigPatches: patches };
    additions.push(
      "KubeletConfiguration failCgroupV1 false: this machine has version 1 of the control groups",
    );
  }
  return { config: adapted, additions };
}

function withAbsoluteMounts(node: KindNode, directory: string): KindNode {
  if (node.extraMounts === undefined) return node;
  const extraMounts = node.extraMounts.map((mount) => ({
    ...mount,
    hostPath: resolve(directory, mount.hostPath),
  }));
  return { ...node, extraMounts };
}

/**
 * Writes the project's kind-config.yaml, adapted.
 *
 * @param change is made to it first, for a cluster of another kind
 */
export async function deriveKindConfig(
  host: Host,
  ownImage: boolean,
  change: ConfigChange = (config) => config,
): Promise<DerivedConfig> {
  const text = await readFile(new URL("kind-config.yaml", projectRoot), "utf8");
  const own = change(parse(text) as KindConfig);
  const directory = fileURLToPath(projectRoot);
  const { config, additions } = adaptKindConfig(own, { host, ownImage, directory });
  const file = join(cacheDirectory, "kind-config.yaml");
  await writeFile(file, stringify(config));
  return { file, clusterName: own.name, additions };
}
