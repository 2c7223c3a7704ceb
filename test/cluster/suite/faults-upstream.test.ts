/** Faults of what the product needs: the binary cache, the API server. */
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { installProduct, isProductReady } from "../kind/install.ts";
import { expectNothingLost, underFault } from "./fault.ts";
import {
  attemptCreate,
  kubectl,
  list,
  makeNamespace,
  removeNamespace,
  restrictedNamespace,
  waitFor,
  waitForSuccess,
} from "./kubectl.ts";
import { inNode, nodeNames, restartService, waitForNode } from "./node.ts";
import { annotatedPod, roots } from "./pods.ts";
import { restartWebhook, spreadWebhook, teachReplicas } from "./product.ts";

const namespace = "suite-faults-upstream";

beforeAll(async () => {
  await makeNamespace(namespace, restrictedNamespace);
  await spreadWebhook();
});

afterAll(async () => {
  await scaleCache(1);
  await removeNamespace(namespace);
  if (!(await isProductReady())) await installProduct();
});

async function scaleCache(replicas: number): Promise<void> {
  const where = ["deployment/demo-cache", "--namespace", "nix-closure-demo"];
  await kubectl(["scale", ...where, `--replicas=${replicas}`]);
  await kubectl(["rollout", "status", ...where, "--timeout=60s"]);
  // Those that end serve for a while.
  await waitFor("the wanted number of Pods", async () => {
    return (await list("pods", "nix-closure-demo", "app=demo-cache")).length === replicas;
  });
}

test("the binary cache is down for 20 seconds", async () => {
  // So that no replica knows more than what the stream asks for.
  await restartWebhook();
  await teachReplicas(annotatedPod({ name: "known", namespace }));
  const cold = annotatedPod({ name: "cold", namespace, root: roots.mixed, command: ["mixed-app"] });
  const downMs = 20_000;
  const fault = underFault({
    name: "binary cache down for 20 s",
    namespace,
    async disturb() {
      await scaleCache(0);
      const end = Date.now() + downMs;
      const { ok, output } = await attemptCreate(cold);
      expect(ok, output).toBe(false);
      expect(output).toMatch(/denied the request: nix-closure: .*demo-cache.*try.* again/s);
      await delay(end - Date.now());
      await scaleCache(1);
    },
    live: { everyMs: 4000 },
  });
  const outcome = await fault.catch(async (error: unknown) => {
    await scaleCache(1);
    throw error;
  });
  // What each replica knows already goes on.
  expectNothingLost(outcome);
  await waitFor("the cold Pod to be taken", async () => (await attemptCreate(cold)).ok, {
    deadlineMs: 30_000,
    everyMs: 1000,
  });
  await waitForSuccess(namespace, "cold");
});

test("the API server is restarted", async () => {
  const { controlPlane, workers } = await nodeNames();
  // The kubelet waits before it restarts what has ended several times, and forgets that when it starts itself.
  await restartService(controlPlane, "kubelet");
  await waitForNode(controlPlane, true);
  const processOfServer = async (): Promise<string> =>
    (await inNode(controlPlane, "pgrep", "--exact", "kube-apiserver")).trim();
  const { counts, recoveryMs } = await underFault({
    name: "API server killed",
    namespace,
    async disturb() {
      const before = await processOfServer();
      await inNode(controlPlane, "kill", "-KILL", before);
      await waitFor("the next API server", async () => (await processOfServer()) !== before);
      await waitFor("its answer", async () => (await kubectl(["get", "--raw", "/readyz"])) === "ok");
    },
    apiServerFails: true,
    deadlineMs: 60_000,
    // Not by way of the scheduler, which ends itself when it has no API server for some time.
    live: { everyMs: 3000, spec: { nodeName: workers[0] } },
  });
  // The stream has seen it.
  expect(counts.verdicts.unavailable).toBeGreaterThan(0);
  expect(counts.verdicts.refusedByUs, JSON.stringify(counts.messages)).toBe(0);
  expect(recoveryMs).toBeLessThan(60_000);
});
