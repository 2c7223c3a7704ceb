/** The product on several nodes: each has its own registry, and Pods move between them. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectNothingLost, underFault } from "./fault.ts";
import { forgetImages } from "./images.ts";
import {
  apply,
  attempt,
  get,
  isReady,
  kubectl,
  list,
  makeNamespace,
  type PodStatus,
  removeNamespace,
  restrictedNamespace,
  waitFor,
} from "./kubectl.ts";
import { inNode, nodeNames, type NodeStatus } from "./node.ts";
import { annotatedPod, deploymentOf, type KubernetesObject, roots } from "./pods.ts";
import { registryMetrics, registryOn, spreadWebhook, sumOf } from "./product.ts";

const namespace = "suite-nodes";

let nodes: readonly string[] = [];
let workers: readonly string[] = [];

beforeAll(async () => {
  const names = await nodeNames();
  ({ workers } = names);
  nodes = [names.controlPlane, ...workers];
  await makeNamespace(namespace, restrictedNamespace);
});

afterAll(async () => {
  for (const worker of workers) await attempt(["uncordon", worker]);
  await removeNamespace(namespace);
  await spreadWebhook();
});

const readyPods = async (app: string): Promise<readonly PodStatus[]> =>
  (await list<PodStatus>("pods", namespace, `app=${app}`)).filter(
    (pod) => isReady(pod) && !("deletionTimestamp" in pod.metadata),
  );

const nodesOf = (pods: readonly PodStatus[]): readonly string[] =>
  pods.map(({ spec }) => spec.nodeName ?? "").toSorted();

/** nginx, whose Pods keep away from each other if that is said. */
function nginx(name: string, replicas: number, spec: Readonly<Record<string, unknown>>): KubernetesObject {
  const pod = annotatedPod({
    name,
    namespace,
    root: roots.nginx,
    command: ["nginx-app"],
    container: {
      readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1 },
      volumeMounts: [{ name: "tmp", mountPath: "/tmp" }],
    },
    spec: { volumes: [{ name: "tmp", emptyDir: {} }], ...spec },
  });
  return deploymentOf(pod, replicas);
}

const apart = (app: string): Readonly<Record<string, unknown>> => ({
  topologySpreadConstraints: [
    {
      maxSkew: 1,
      topologyKey: "kubernetes.io/hostname",
      whenUnsatisfiable: "ScheduleAnyway",
      labelSelector: { matchLabels: { app } },
    },
  ],
});

test("Pods of one Deployment run on all nodes, each from its own node's registry", async () => {
  await Promise.all(nodes.map((node) => forgetImages(node)));
  const served = (): Promise<readonly number[]> =>
    Promise.all(
      nodes.map(async (node) => sumOf(await registryMetrics(node), "nix_closure_registry_requests_total")),
    );
  const before = await served();
  const term = {
    labelSelector: { matchLabels: { app: "everywhere" } },
    topologyKey: "kubernetes.io/hostname",
  };
  await apply(
    nginx("everywhere", nodes.length, {
      affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } },
      tolerations: [{ key: "node-role.kubernetes.io/control-plane", operator: "Exists" }],
    }),
  );
  const pods = await waitFor("all replicas", async () => {
    const ready = await readyPods("everywhere");
    return ready.length === nodes.length && ready;
  });
  expect(nodesOf(pods)).toEqual(nodes.toSorted());
  for (const [index, count] of (await served()).entries()) {
    // A manifest for each image at the least.
    const images = pods[0]?.spec.volumes?.filter(({ image }) => image).length ?? 0;
    expect(images).toBeGreaterThan(0);
    expect(count - (before[index] ?? 0), nodes[index]).toBeGreaterThanOrEqual(images);
  }
  await kubectl(["delete", "deployment", "everywhere", "--namespace", namespace]);
});

test("no registry answers another node", async () => {
  const [first = "", second = ""] = workers;
  const { status } = await get<NodeStatus>("node", second);
  const address = status.addresses.find(({ type }) => type === "InternalIP")?.address ?? "";
  await registryOn(second);
  const ask = (node: string, host: string): Promise<string> =>
    inNode(
      node,
      "bash",
      "-c",
      `curl --silent --show-error --max-time 3 http://${host}:5417/v2/ 2>&1 || true`,
    );
  expect(await ask(second, "127.0.0.1")).toBe("{}");
  expect(await ask(first, address)).toMatch(/^curl: \(7\)/);
});

test("a worker is drained: Pods move, and nobody is refused", async () => {
  // Not the one with the binary cache, which has one replica: without it, a new replica of the webhook knows nothing.
  const [cache] = await list<PodStatus>("pods", "nix-closure-demo", "app=demo-cache");
  const other = cache?.spec.nodeName ?? "";
  const drained = workers.find((worker) => worker !== other) ?? "";
  await spreadWebhook();
  await apply(nginx("moves", 2, apart("moves")));
  await waitFor("a replica on each worker", async () => {
    const on = nodesOf(await readyPods("moves"));
    return on.length === 2 && on.includes(drained);
  });
  const outcome = await underFault({
    name: "worker drained",
    namespace,
    async disturb() {
      const options = ["--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=90s"];
      await kubectl(["drain", drained, ...options]);
      await waitFor("both replicas on the other worker", async () => {
        const on = nodesOf(await readyPods("moves"));
        return on.length === 2 && on.every((node) => node === other);
      });
    },
    live: { everyMs: 4000 },
  });
  expectNothingLost(outcome);
  await kubectl(["uncordon", drained]);
  await kubectl(["rollout", "restart", "deployment/moves", "--namespace", namespace]);
  await waitFor("a replica on the drained worker again", async () =>
    nodesOf(await readyPods("moves")).includes(drained),
  );
});
