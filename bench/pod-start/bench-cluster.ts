import { fileURLToPath } from "node:url";
import type { Output } from "../../demo/output.ts";
import { forgetCluster, recordedCluster } from "../../test/cluster/kind/cluster.ts";
import { run } from "../../test/cluster/kind/command.ts";
import { createCluster } from "../../test/cluster/kind/create.ts";
import type { KindConfig } from "../../test/cluster/kind/kind-config.ts";
import { kubectl } from "../../test/cluster/kind/kubectl.ts";
import { prepare } from "../../test/cluster/kind/prepare.ts";
import { wantedRelease } from "../../test/cluster/kind/versions.ts";
import { docker, inNode, nodeNames } from "../../test/cluster/suite/node.ts";
import { plainMount } from "./plain-registry.ts";

/** What the kubelets of the two workers let through to registries. */
export const kubelets = {
  stock: { registryPullQPS: 5, registryBurst: 10 },
  tuned: { registryPullQPS: 0, registryBurst: 10 },
} as const;
export type KubeletName = keyof typeof kubelets;

/** The cluster of the benchmark. */
export interface BenchCluster {
  /** The workers by what their kubelets are like. */
  readonly nodes: Readonly<Record<KubeletName, string>>;
  /** This machine's address on the nodes' network. */
  readonly hostAddress: string;
}

/** Not that of `npm run test:cluster`. */
const name = "nix-closure-bench";

/** For development: a cluster that an earlier run left is used, and left again. */
export const keep = process.env["POD_START_KEEP"] === "1";

/**
 * Makes the cluster anew.
 *
 * @param images directory that {@link makePlainImages} has made
 * @throws Error if there is a cluster of somebody else
 */
export async function makeCluster(images: string): Promise<BenchCluster> {
  const found = await recordedCluster();
  if (found !== undefined && found.name !== name)
    throw new Error("there is a cluster already: npm run cluster:down takes it away");
  if (found === undefined || !keep || !(await answers())) {
    const change = (config: KindConfig): KindConfig => withImages({ ...config, name }, images);
    const prepared = await prepare(wantedRelease(process.env), progress, change);
    await createCluster(prepared, progress);
  }
  const { workers } = await nodeNames();
  const [stock = "", tuned = ""] = workers;
  for (const [kubelet, node] of Object.entries({ stock, tuned }))
    await limitPulls(node, kubelets[kubelet as KubeletName]);
  await kubectl(["wait", "--for=condition=Ready", "nodes", "--all", "--timeout=60s"]);
  return { nodes: { stock, tuned }, hostAddress: await gatewayOf(stock) };
}

async function answers(): Promise<boolean> {
  return kubectl(["get", "nodes"]).then(
    () => true,
    () => false,
  );
}

function withImages(config: KindConfig, images: string): KindConfig {
  const mount = { hostPath: images, containerPath: plainMount, readOnly: true };
  const nodes = config.nodes?.map((node) => ({ ...node, extraMounts: [mount] }));
  return { ...config, ...(nodes === undefined ? {} : { nodes }) };
}

/** kind's configuration of kubelets is one for all nodes: it is changed on the node. */
async function limitPulls(node: string, limits: (typeof kubelets)[KubeletName]): Promise<void> {
  const file = "/var/lib/kubelet/config.yaml";
  const lines = Object.entries(limits).map(([key, value]) => `${key}: ${value}`);
  const script = `grep -vE '^registry(PullQPS|Burst):' ${file} > /tmp/kubelet.yaml
    printf '%s\\n' ${lines.map((line) => `'${line}'`).join(" ")} >> /tmp/kubelet.yaml
    cp /tmp/kubelet.yaml ${file}; systemctl restart kubelet`;
  await inNode(node, "bash", "-euc", script);
}

async function gatewayOf(node: string): Promise<string> {
  const format = "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}";
  return (await docker("inspect", "--format", format, node)).trim();
}

/** Takes the cluster away, and what was started for it. */
export async function removeCluster(): Promise<void> {
  if (keep) return;
  if ((await recordedCluster())?.name !== name) return;
  // In a process of its own: it ends whatever carries the cluster's mark.
  const down = new URL("../../test/cluster/kind/down.ts", import.meta.url);
  await run(process.execPath, [fileURLToPath(down)]);
  await forgetCluster();
}

/** Standard output is for the results. */
const progress: Output = {
  title: (text) => console.error(text),
  step: (text) => console.error(`pod-start: ${text}`),
  line: (text = "") => console.error(`pod-start:   ${text}`),
  progress: () => {},
  clear: () => {},
};
