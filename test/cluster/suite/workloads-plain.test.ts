/** Pods that ask for nothing: never touched, never slowed, also while nobody answers for the webhook. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { waitForProduct } from "../kind/install.ts";
import { messageOf } from "./answers.ts";
import { type ApiServer, connectApiServer } from "./api-server.ts";
import { recordFigure } from "./counts.ts";
import { kubectl, list, makeNamespace, removeNamespace, restrictedNamespace, waitFor } from "./kubectl.ts";
import { annotatedPod, type KubernetesObject, plainPod } from "./pods.ts";
import { createTally, type LoadCounts } from "./tally.ts";

const namespace = "suite-plain";
const rounds = 100;

let server: ApiServer;

beforeAll(async () => {
  server = await connectApiServer(1);
  await makeNamespace(namespace, restrictedNamespace);
});

afterAll(async () => {
  await server.close();
  await removeNamespace(namespace);
});

/** What the API server makes of a Pod, without what no two Pods have in common. */
async function created(pod: KubernetesObject): Promise<object> {
  const answer = await server.dryRun(pod);
  if (!("status" in answer) || answer.status !== 201) throw new Error(JSON.stringify(answer));
  const { metadata, ...rest } = answer.body as KubernetesObject;
  const {
    namespace: _,
    uid: __,
    creationTimestamp: ___,
    managedFields: ____,
    ...others
  } = metadata as Record<string, unknown>;
  return { ...rest, metadata: others };
}

test("a Pod that asks for nothing is what it is where the webhook has no say", async () => {
  const pods = [
    plainPod({ name: "plain", namespace }),
    plainPod({ name: "noted", namespace, annotations: { "example.com/nix.closure": "x" } }),
    plainPod({ name: "copied", namespace, annotations: { "nix.closure/status": "{}" } }),
  ];
  for (const pod of pods) {
    const elsewhere = { ...pod, metadata: { ...pod.metadata, namespace: "kube-system" } };
    const made = await created(pod);
    expect(made).toEqual(await created(elsewhere));
    expect(made).not.toMatchObject({ spec: { volumes: expect.anything() } });
  }
  // The same comparison sees what the webhook does.
  const injected = await created(annotatedPod({ name: "plain", namespace }));
  expect(injected).toMatchObject({ spec: { volumes: expect.anything() } });
});

/** Creates plain Pods, one after the other, as dry runs. */
async function measurePlain(): Promise<LoadCounts> {
  const tally = createTally(Date.now());
  for (let i = 0; i < rounds; i++) {
    const sentAt = performance.now();
    const answer = await server.dryRun(plainPod({ name: "measured", namespace }));
    tally.add(false, answer, sentAt, performance.now());
  }
  return tally.counts(Date.now());
}

const inWords = ({ latencies: { plain } }: LoadCounts): string =>
  `p50 ${plain.p50} ms, p99 ${plain.p99} ms, max ${plain.max} ms (${rounds} dry-run creates)`;

async function scaleWebhook(replicas: number): Promise<void> {
  await kubectl(["scale", "deployment/nix-closure-webhook", "-n", "nix-closure", `--replicas=${replicas}`]);
}

describe("without any webhook Pod", () => {
  let up: LoadCounts;

  beforeAll(async () => {
    await measurePlain();
    up = await measurePlain();
    await scaleWebhook(0);
    const gone = async (): Promise<boolean> =>
      (await list("pods", "nix-closure", "app.kubernetes.io/component=webhook")).length === 0;
    await waitFor("the end of the webhook's Pods", gone, { deadlineMs: 60_000 });
  });

  afterAll(async () => {
    await scaleWebhook(2);
    await waitForProduct();
  });

  test("plain Pods are created, and as fast as with it", async () => {
    const down = await measurePlain();
    expect(up.verdicts).toMatchObject({ plainCreated: rounds, plainRefused: 0, unavailable: 0 });
    expect(down.verdicts).toMatchObject({ plainCreated: rounds, plainRefused: 0, unavailable: 0 });
    await recordFigure("creation of plain Pods, webhook up", inWords(up));
    await recordFigure("creation of plain Pods, webhook down", inWords(down));
    // One call of the webhook would take longer than that, or be refused at once.
    expect(down.latencies.plain.p50).toBeLessThan(2 * up.latencies.plain.p50 + 20);
  });

  test("annotated Pods are refused, and their refusal says who did not answer", async () => {
    const answer = await server.dryRun(annotatedPod({ name: "refused", namespace }));
    expect(answer).toMatchObject({ status: 500 });
    expect(messageOf((answer as { body: unknown }).body)).toContain(
      `failed calling webhook "pods.nix.closure"`,
    );
  });
});

test("annotated Pods are injected again afterwards", async () => {
  await waitFor("an injected Pod", async () => {
    const answer = await server.dryRun(annotatedPod({ name: "again", namespace }));
    return "status" in answer && answer.status === 201;
  });
});
