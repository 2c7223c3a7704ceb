import { inNode, nodeNames } from "./node.ts";
import type { KubernetesObject } from "./pods.ts";
import { get, isReady, kubectl, list, patch, type PodStatus, waitFor } from "./kubectl.ts";

/** Where the parts of the product are (manifests/chart). */
export const webhookNamespace = "nix-closure";
export const registryNamespace = "nix-closure-registry";
const webhookDeployment = "deployment/nix-closure-webhook";
const adminPort = 5418;

/** The webhook's replicas that run. */
export async function webhookPods(): Promise<readonly PodStatus[]> {
  const pods = await list<PodStatus>("pods", webhookNamespace, "app.kubernetes.io/component=webhook");
  return pods.filter((pod) => isReady(pod) && !("deletionTimestamp" in pod.metadata));
}

/** A node's registry, as soon as it is ready. */
export function registryOn(node: string, deadlineMs = 60_000): Promise<PodStatus> {
  return waitFor(
    `the registry of ${node}`,
    async () => {
      const pods = await list<PodStatus>("pods", registryNamespace, "app.kubernetes.io/component=registry");
      return pods.find(
        (pod) => pod.spec.nodeName === node && isReady(pod) && !("deletionTimestamp" in pod.metadata),
      );
    },
    { deadlineMs },
  );
}

/** Metrics of a webhook's replica: read in the control plane, from which Pods are reached. */
export async function webhookMetrics({ status }: PodStatus): Promise<string> {
  const { controlPlane } = await nodeNames();
  return fetchInNode(controlPlane, `http://${status.podIP}:${adminPort}/metrics`);
}

/** Metrics of a node's registry: only that node itself reaches them. */
export function registryMetrics(node: string): Promise<string> {
  return fetchInNode(node, `http://127.0.0.1:${adminPort}/metrics`);
}

function fetchInNode(node: string, url: string): Promise<string> {
  return inNode(node, "curl", "--silent", "--show-error", "--fail", "--max-time", "5", url);
}

/** The sum of a metric over its labels; those that are given must match. 0: it is not there. */
export function sumOf(metrics: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return metrics
    .split("\n")
    .map((line) => /^([a-z_]+)(\{.*\})? (\S+)$/.exec(line))
    .filter((match) => match?.[1] === name && wanted.every((pair) => match[2]?.includes(pair)))
    .reduce((sum, match) => sum + Number(match?.[3]), 0);
}

/** The replica that answers the API server now, under a load. */
export async function answeringReplica(): Promise<PodStatus> {
  const pods = await webhookPods();
  const answered = (): Promise<readonly number[]> =>
    Promise.all(pods.map(async (pod) => sumOf(await webhookMetrics(pod), "nix_closure_admissions_total")));
  const before = await answered();
  return waitFor("a replica that answers", async () => {
    const growth = (await answered()).map((count, index) => count - (before[index] ?? 0));
    const most = Math.max(...growth);
    return most >= 4 ? pods[growth.indexOf(most)] : undefined;
  });
}

/** Replaces the webhook's replicas one after the other, as `kubectl rollout restart` does; they are spread anew. */
export async function restartWebhook(): Promise<void> {
  const where = ["--namespace", webhookNamespace];
  await kubectl(["rollout", "restart", webhookDeployment, ...where]);
  await kubectl(["rollout", "status", webhookDeployment, ...where, "--timeout=120s"]);
}

/**
 * Has every replica of the webhook find out what these Pods need, so that the binary cache may go. The API server would
 * ask one replica alone, as long as its connection lasts.
 */
export async function teachReplicas(...pods: readonly KubernetesObject[]): Promise<void> {
  const { controlPlane } = await nodeNames();
  for (const { status } of await webhookPods()) {
    for (const object of pods) {
      const review = {
        apiVersion: "admission.k8s.io/v1",
        kind: "AdmissionReview",
        request: { uid: "teach", operation: "CREATE", namespace: object.metadata.namespace, object },
      };
      const body = Buffer.from(JSON.stringify(review)).toString("base64");
      const url = `https://${status.podIP}:10250/mutate?timeout=30s`;
      const send = `curl --insecure --silent --fail --max-time 30 --header 'content-type: application/json' --data @- ${url}`;
      const answer = await inNode(controlPlane, "bash", "-c", `echo ${body} | base64 --decode | ${send}`);
      if (!answer.includes('"allowed":true')) throw new Error(`a replica refuses a Pod: ${answer}`);
    }
  }
}

/** Moves the demo's binary cache, which has one replica, away from a node. */
export async function moveCacheFrom(node: string): Promise<void> {
  const where = ["--namespace", "nix-closure-demo"];
  const [cache] = await list<PodStatus>("pods", "nix-closure-demo", "app=demo-cache");
  if (cache?.spec.nodeName !== node) return;
  await kubectl(["cordon", node]);
  try {
    await kubectl(["delete", "pod", cache.metadata.name, ...where, "--wait=true"]);
    await kubectl(["rollout", "status", "deployment/demo-cache", ...where, "--timeout=60s"]);
  } finally {
    await kubectl(["uncordon", node]);
  }
}

/** Waits until both replicas are ready, and restarts them if they are on one node, as a drained node leaves them. */
export async function spreadWebhook(): Promise<void> {
  const pods = await waitFor("both replicas", async () => {
    const ready = await webhookPods();
    return ready.length === 2 && ready;
  });
  if (new Set(pods.map(({ spec }) => spec.nodeName)).size < 2) await restartWebhook();
}

interface ConfigMap {
  readonly data: Readonly<Record<string, string>>;
}

const configKey = "nix-closure.yaml";

/** Changes the text of the webhook's configuration, which replicas that start from now on have. @returns how it was */
export async function editWebhookConfig(edit: (text: string) => string): Promise<string> {
  const { data } = await get<ConfigMap>("configmap", "nix-closure-config", webhookNamespace);
  const before = data[configKey] ?? "";
  await patch("configmap", "nix-closure-config", webhookNamespace, { data: { [configKey]: edit(before) } });
  return before;
}
