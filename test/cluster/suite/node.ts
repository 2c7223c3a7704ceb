import { engineOf, recordedCluster } from "../kind/cluster.ts";
import { run } from "../kind/command.ts";
import { get, list, type PodStatus, waitFor } from "./kubectl.ts";

/** A node, as far as tests look at it. */
export interface NodeStatus {
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: { readonly podCIDR?: string; readonly unschedulable?: boolean };
  readonly status: {
    readonly conditions: readonly { readonly type: string; readonly status: string }[];
    readonly addresses: readonly { readonly type: string; readonly address: string }[];
  };
}

/** Runs docker with the daemon that the cluster runs in. */
export async function docker(...args: readonly string[]): Promise<string> {
  const cluster = await recordedCluster();
  if (cluster === undefined) throw new Error("there is no cluster; run `npm run cluster:up`");
  return run("docker", args, { env: engineOf(cluster).environment });
}

/** Runs a command in a node, as root in all of its namespaces, and returns what it writes. */
export function inNode(node: string, ...command: readonly string[]): Promise<string> {
  return docker("exec", node, ...command);
}

/** Names of the nodes: the control plane first, then the workers by name. */
export async function nodeNames(): Promise<{
  readonly controlPlane: string;
  readonly workers: readonly string[];
}> {
  const nodes = (await list<NodeStatus>("nodes")).map(({ metadata }) => metadata);
  const isControlPlane = ({ labels }: NodeStatus["metadata"]): boolean =>
    "node-role.kubernetes.io/control-plane" in labels;
  const controlPlane = nodes.find(isControlPlane);
  if (controlPlane === undefined) throw new Error("the cluster has no control plane node");
  const workers = nodes.filter((node) => !isControlPlane(node)).map(({ name }) => name);
  return { controlPlane: controlPlane.name, workers: workers.toSorted() };
}

/** Stops a node as a machine that is switched off, after at most so many seconds. */
export async function stopNode(node: string, graceSeconds = 10): Promise<void> {
  await docker("stop", "--time", `${graceSeconds}`, node);
}

/** Starts a node that was stopped. */
export async function startNode(node: string): Promise<void> {
  await docker("start", node);
}

/** Waits until the API server says that a node is ready, or that it is not. */
export async function waitForNode(node: string, ready: boolean, deadlineMs = 120_000): Promise<void> {
  const matches = async (): Promise<boolean> => {
    const { status } = await get<NodeStatus>("node", node);
    const condition = status.conditions.find(({ type }) => type === "Ready");
    return (condition?.status === "True") === ready;
  };
  await waitFor(`node ${node} ${ready ? "ready" : "not ready"}`, matches, { deadlineMs });
}

/** Restarts a service of systemd in a node, for instance kubelet or containerd. */
export async function restartService(node: string, service: string): Promise<void> {
  await inNode(node, "systemctl", "restart", service);
}

/** The process of a container, by its number in the node; its children have others. */
export async function processOf(pod: PodStatus, container: string): Promise<number> {
  const { nodeName = "" } = pod.spec;
  const all = [...(pod.status.containerStatuses ?? []), ...(pod.status.initContainerStatuses ?? [])];
  const id = all.find(({ name }) => name === container)?.containerID?.replace(/^containerd:\/\//, "");
  if (id === undefined) throw new Error(`container ${container} of ${pod.metadata.name} does not run`);
  // Where containerd's shim of runc keeps it.
  const file = `/run/containerd/io.containerd.runtime.v2.task/k8s.io/${id}/init.pid`;
  return Number(await inNode(nodeName, "cat", file));
}

/** Sends a signal to the process of a Pod's container, by default the one that cannot be handled. */
export async function killContainer(pod: PodStatus, container: string, signal = "KILL"): Promise<void> {
  const pid = await processOf(pod, container);
  await inNode(pod.spec.nodeName ?? "", "kill", `-${signal}`, `${pid}`);
}

/** Memory that a container has now, as its node counts it. Bytes. */
export async function residentMemory(pod: PodStatus, container: string): Promise<number> {
  const pid = await processOf(pod, container);
  const status = await inNode(pod.spec.nodeName ?? "", "cat", `/proc/${pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) * 1024;
}
