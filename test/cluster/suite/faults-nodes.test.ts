/** Faults of nodes and of the registries on them. */
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { installProduct, isProductReady } from "../kind/install.ts";
import { expectNothingLost, underFault } from "./fault.ts";
import { forgetImages, makeCold, ownImages } from "./images.ts";
import {
  apply,
  kubectl,
  list,
  logs,
  makeNamespace,
  type PodStatus,
  removeNamespace,
  restrictedNamespace,
  waitFor,
  waitForPod,
  waitForSuccess,
} from "./kubectl.ts";
import { killContainer, nodeNames, restartService, startNode, stopNode, waitForNode } from "./node.ts";
import { annotatedPod, type KubernetesObject, roots } from "./pods.ts";
import { answeringReplica, moveCacheFrom, registryOn, spreadWebhook, teachReplicas } from "./product.ts";

const namespace = "suite-faults-nodes";
/** So long a node stays switched off: shorter than the time after which Kubernetes sees it. Milliseconds. */
const downMs = 10_000;
const program = ["python3", "-c", "import ssl, sqlite3; print(ssl.OPENSSL_VERSION)"];

let worker = "";

beforeAll(async () => {
  [worker = ""] = (await nodeNames()).workers;
  await makeNamespace(namespace, restrictedNamespace);
  await spreadWebhook();
});

afterAll(async () => {
  for (const node of (await nodeNames()).workers) await startNode(node);
  await removeNamespace(namespace);
  if (!(await isProductReady())) await installProduct();
});

/** A Pod whose images take their time, on one node. */
function pythonOn(node: string, name: string): KubernetesObject {
  return annotatedPod({
    name,
    namespace,
    root: roots.python,
    command: program,
    spec: { nodeName: node, restartPolicy: "OnFailure" },
  });
}

/** Waits until a node has a part of a Pod's images. */
async function whilePulling(pod: string): Promise<number> {
  const wanted = (await waitForPod(namespace, pod, () => true)).spec.volumes?.filter(({ image }) => image);
  return waitFor(
    "a pull under way",
    async () => {
      const { length } = await ownImages(worker);
      return length > 0 && length < (wanted?.length ?? 0) && length;
    },
    { everyMs: 20, deadlineMs: 30_000 },
  );
}

describe("during a pull", () => {
  test("the registry is killed", async () => {
    await makeCold(worker);
    let pulled = 0;
    const outcome = await underFault({
      name: "registry killed during a pull",
      namespace,
      async disturb() {
        await apply(pythonOn(worker, "pulls"));
        pulled = await whilePulling("pulls");
        await killContainer(await registryOn(worker), "registry");
        await waitForSuccess(namespace, "pulls");
      },
      live: { everyMs: 4000, spec: { nodeName: worker } },
    });
    expectNothingLost(outcome);
    expect(await logs(namespace, "pulls")).toMatch(/^OpenSSL /);
    expect((await ownImages(worker)).length).toBeGreaterThan(pulled);
  });

  test("the Pod is deleted", async () => {
    await makeCold(worker);
    const outcome = await underFault({
      name: "Pod deleted during a pull",
      namespace,
      async disturb() {
        await apply(pythonOn(worker, "deleted"));
        await whilePulling("deleted");
        await kubectl(["delete", "pod", "deleted", "--namespace", namespace, "--timeout=60s"]);
        await apply(pythonOn(worker, "deleted"));
        await waitForSuccess(namespace, "deleted");
      },
      live: { everyMs: 4000 },
    });
    expectNothingLost(outcome);
  });
});

describe("while Pods start", () => {
  test.each(["kubelet", "containerd"])("%s is restarted", async (service) => {
    await forgetImages(worker);
    const names = [1, 2].map((number) => `${service}-${number}`);
    const outcome = await underFault({
      name: `${service} restarted`,
      namespace,
      async disturb() {
        await apply(...names.map((name) => pythonOn(worker, name)));
        await whilePulling(names[0] ?? "");
        await restartService(worker, service);
        await Promise.all(names.map((name) => waitForSuccess(namespace, name)));
      },
      live: { everyMs: 3000, spec: { nodeName: worker } },
    });
    expectNothingLost(outcome);
  });
});

test("a worker is stopped, and started again", async () => {
  let stopped = "";
  const { counts, recoveryMs } = await underFault({
    name: "worker stopped and started",
    namespace,
    async prepare() {
      // The one that answers the API server: the other way nothing is to be seen.
      stopped = (await answeringReplica()).spec.nodeName ?? "";
      // The replica that is left can only answer for what it knows, or can find out.
      await moveCacheFrom(stopped);
      await teachReplicas(annotatedPod({ name: "known", namespace }), pythonOn(stopped, "known"));
    },
    async disturb() {
      await stopNode(stopped);
      await apply(pythonOn(stopped, "waits"));
      await delay(downMs);
      await startNode(stopped);
      await waitForNode(stopped, true);
      await waitForSuccess(namespace, "waits");
      await registryOn(stopped);
      await waitFor("both replicas of the webhook", async () => {
        await spreadWebhook();
        return true;
      });
    },
    deadlineMs: 60_000,
    live: { everyMs: 5000 },
  });
  expect(counts.verdicts.refusedByUs).toBe(0);
  expect(recoveryMs, JSON.stringify(counts.messages)).toBeLessThan(60_000);
  const pods = await list<PodStatus>("pods", namespace);
  expect(
    pods.filter(({ status }) => status.phase !== "Succeeded").map(({ metadata }) => metadata.name),
  ).toEqual([]);
});
