/** Figures for docs/operating.md, of a cluster at rest and of one that works. */
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { recordFigure } from "./counts.ts";
import { makeCold } from "./images.ts";
import {
  apply,
  makeNamespace,
  removeNamespace,
  restrictedNamespace,
  waitForPod,
  waitForSuccess,
} from "./kubectl.ts";
import { startLoad } from "./load.ts";
import { nodeNames, residentMemory } from "./node.ts";
import { annotatedPod, type KubernetesObject, roots } from "./pods.ts";
import { answeringReplica, registryOn } from "./product.ts";

const namespace = "suite-nodes-figures";
let worker = "";
beforeAll(async () => {
  await makeNamespace(namespace, restrictedNamespace);
  const { workers } = await nodeNames();
  worker = workers[0] ?? "";
});

afterAll(() => removeNamespace(namespace));

function helloOn(node: string, name: string): KubernetesObject {
  return annotatedPod({ name, namespace, spec: { nodeName: node, restartPolicy: "OnFailure" } });
}

async function timeToEnd(pod: KubernetesObject): Promise<number> {
  const begun = Date.now();
  await apply(pod);
  await waitForSuccess(namespace, pod.metadata.name ?? "", 60_000);
  return Date.now() - begun;
}

test("hello, cold and warm; memory of a registry", async () => {
  await makeCold(worker);
  const registry = await registryOn(worker);
  await recordFigure("registry, memory at rest", mebibytes(await residentMemory(registry, "registry")));
  const cold = await timeToEnd(helloOn(worker, "cold"));
  const warm = await timeToEnd(helloOn(worker, "warm"));
  await recordFigure("hello, from apply to its end, cold", seconds(cold));
  await recordFigure("hello, from apply to its end, warm", seconds(warm));
  expect(warm).toBeLessThan(cold + 1000);
  expect(cold).toBeLessThan(30_000);
});

test("memory of a registry that makes four closures at once", async () => {
  await makeCold(worker);
  const registry = await registryOn(worker);
  const commands = { hello: "run", nginx: "nginx-app", python: "python3", mixed: "mixed-app" };
  const names = ["hello", "nginx", "python", "mixed"] as const;
  const pods = names.map((name) =>
    annotatedPod({
      name,
      namespace,
      root: roots[name],
      command: [commands[name]],
      container: { volumeMounts: [{ name: "tmp", mountPath: "/tmp" }] },
      spec: { nodeName: worker, restartPolicy: "OnFailure", volumes: [{ name: "tmp", emptyDir: {} }] },
    }),
  );
  const started = apply(...pods).then(() =>
    Promise.all(
      names.map((name) =>
        waitForPod(namespace, name, ({ status }) => /^(?:Running|Succeeded)$/.test(status.phase ?? "")),
      ),
    ),
  );
  const most = await mostDuring(() => residentMemory(registry, "registry"), started);
  await recordFigure("registry, memory at most while four closures are pulled", mebibytes(most));
  // The limit of its container.
  expect(most).toBeLessThan(2 ** 30);
  const { status } = await registryOn(worker);
  expect(status.containerStatuses?.[0]?.restartCount).toBe(0);
});

test("memory of a webhook with 20 admissions a second", async () => {
  const load = await startLoad({ namespace, perSecond: 40 });
  try {
    const replica = await answeringReplica();
    const most = await mostDuring(() => residentMemory(replica, "webhook"), delay(10_000));
    await recordFigure("webhook, memory with 20 admissions a second", mebibytes(most));
    expect(most).toBeLessThan(512 * 2 ** 20);
  } finally {
    const { annotated, verdicts, latencies } = await load.stop();
    expect(verdicts.injected).toBe(annotated);
    const { p50, p99 } = latencies.annotated;
    const plain = latencies.plain;
    await recordFigure(
      "creation at 20 + 20 a second, p50/p99",
      `annotated ${p50}/${p99} ms, plain ${plain.p50}/${plain.p99} ms`,
    );
  }
});

/** Measures again and again during some work. @returns the highest value */
async function mostDuring(measure: () => Promise<number>, work: Promise<unknown>): Promise<number> {
  const ended = work.then(
    () => true,
    () => true,
  );
  let most = 0;
  do most = Math.max(most, await measure());
  while (!(await Promise.race([ended, delay(200, false)])));
  await work;
  return most;
}

const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;
const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)} s`;
