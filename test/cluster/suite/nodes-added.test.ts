/** A node that joins the cluster while a Pod waits for it. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { joinCluster, removeNode, startMachine } from "./added-node.ts";
import { recordFigure } from "./counts.ts";
import { ownImages } from "./images.ts";
import {
  apply,
  eventsOf,
  get,
  logs,
  makeNamespace,
  type PodStatus,
  removeNamespace,
  restrictedNamespace,
  waitForSuccess,
} from "./kubectl.ts";
import { nodeNames, waitForNode } from "./node.ts";
import { annotatedPod } from "./pods.ts";
import { registryMetrics, registryOn, sumOf } from "./product.ts";

const namespace = "suite-nodes-added";
const added = "nix-closure-added";

beforeAll(async () => {
  await removeNode(added);
  await makeNamespace(namespace, restrictedNamespace);
});

afterAll(async () => {
  await removeNode(added);
  await removeNamespace(namespace);
});

test("an annotated Pod waits for a node that joins, and runs there", async () => {
  const { controlPlane, workers } = await nodeNames();
  const [worker = ""] = workers;
  await startMachine(added, worker);

  // Both there before the node: one that the scheduler gives to it, and one that is bound to it past the scheduler.
  const here = { "kubernetes.io/hostname": added };
  const scheduled = annotatedPod({
    name: "scheduled",
    namespace,
    spec: { nodeSelector: here, restartPolicy: "OnFailure" },
  });
  await apply(scheduled);
  expect((await get<PodStatus>("pod", "scheduled", namespace)).spec.nodeName).toBeUndefined();
  await joinCluster(added, worker, controlPlane);
  const joined = Date.now();
  await apply(
    annotatedPod({ name: "bound", namespace, spec: { nodeName: added, restartPolicy: "OnFailure" } }),
  );
  await waitForNode(added, true);
  const ready = Date.now();
  const pods = await Promise.all(
    ["scheduled", "bound"].map((name) => waitForSuccess(namespace, name, 120_000)),
  );
  const succeeded = Date.now();

  for (const pod of pods) {
    expect(pod.spec.nodeName).toBe(added);
    expect(await logs(namespace, pod.metadata.name)).toBe("Hello, world!\n");
  }
  expect((await ownImages(added)).length).toBeGreaterThan(0);
  await registryOn(added);
  expect(sumOf(await registryMetrics(added), "nix_closure_registry_requests_total")).toBeGreaterThan(0);
  const warnings = (await Promise.all(["scheduled", "bound"].map((name) => eventsOf(namespace, "Pod", name))))
    .flat()
    .filter(({ type }) => type === "Warning");
  const kinds = Map.groupBy(warnings, ({ reason }) => reason);
  const words = [...kinds].map(([reason, events]) => `${events.length} ${reason}`).join(", ");
  await recordFigure("node added, from joined to ready", seconds(ready - joined));
  await recordFigure("node added, from ready to its first annotated Pod's end", seconds(succeeded - ready));
  await recordFigure("node added, warnings of its first annotated Pods", words === "" ? "none" : words);
});

const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)} s`;
