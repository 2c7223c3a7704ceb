/** Faults of the webhook: its replicas, its certificates, and what the API server is told of them. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { installProduct, isProductReady } from "../kind/install.ts";
import { recordFigure } from "./counts.ts";
import { expectNothingLost, type Fault, underFault } from "./fault.ts";
import { type Handshakes, verifiedBy, withHandshakes } from "./handshakes.ts";
import {
  find,
  get,
  kubectl,
  makeNamespace,
  type PodStatus,
  removeNamespace,
  restrictedNamespace,
  waitFor,
} from "./kubectl.ts";
import { killContainer, nodeNames, residentMemory } from "./node.ts";
import {
  answeringReplica,
  editWebhookConfig,
  restartWebhook,
  spreadWebhook,
  sumOf,
  webhookMetrics,
  webhookNamespace,
  webhookPods,
} from "./product.ts";
import { watchPod, type WatchedPod } from "./watched-pod.ts";

const namespace = "suite-faults-webhook";

/** It runs during all of it. */
let watched: WatchedPod;

beforeAll(async () => {
  await makeNamespace(namespace, restrictedNamespace);
  await spreadWebhook();
  // No Pod of this file starts on the control plane's node.
  watched = await watchPod(namespace, (await nodeNames()).controlPlane);
});

afterAll(async () => {
  await removeNamespace(namespace);
  if (!(await isProductReady())) await installProduct();
});

/** A metric of each replica that is a time, in milliseconds since 1970. */
async function times(pods: readonly PodStatus[], name: string): Promise<readonly number[]> {
  const metrics = await Promise.all(pods.map((pod) => webhookMetrics(pod)));
  return metrics.map((text) => sumOf(text, `nix_closure_${name}_timestamp_seconds`) * 1000);
}

const endsOf = (pods: readonly PodStatus[]): Promise<readonly number[]> =>
  times(pods, "certificate_not_after");
const addresses = (pods: readonly PodStatus[]): readonly string[] =>
  pods.map(({ status }) => status.podIP ?? "");

function expectAllBelieved({ succeeded, failures }: Handshakes): void {
  expect(failures).toEqual([]);
  expect(succeeded).toBeGreaterThan(20);
}

interface WebhookConfiguration {
  readonly webhooks: readonly { readonly clientConfig: { readonly caBundle?: string } }[];
}

/** PEM; empty: there is none. */
async function publishedBundle(): Promise<string> {
  const { webhooks } = await get<WebhookConfiguration>("mutatingwebhookconfiguration", "nix-closure");
  return Buffer.from(webhooks[0]?.clientConfig.caBundle ?? "", "base64").toString();
}

const certificates = (pem: string): number => pem.split("-----BEGIN CERTIFICATE-----").length - 1;

interface Secret {
  readonly metadata: { readonly uid: string };
  readonly data: Readonly<Record<string, string>>;
}

const authority = (): Promise<Secret | undefined> =>
  find<Secret>("secret", "nix-closure-ca", webhookNamespace);

test("kill -9 of the replica that answers", async () => {
  let victim: PodStatus | undefined;
  const { counts, recoveryMs } = await underFault({
    name: "kill -9 of a webhook replica",
    namespace,
    async prepare() {
      victim = await answeringReplica();
    },
    async disturb() {
      if (victim === undefined) throw new Error("no replica answers");
      const { metadata, status } = victim;
      await killContainer(victim, "webhook");
      await waitFor("its restart", async () => {
        const pod = await get<PodStatus>("pod", metadata.name, webhookNamespace);
        const [before] = status.containerStatuses ?? [];
        const [now] = pod.status.containerStatuses ?? [];
        return (now?.restartCount ?? 0) > (before?.restartCount ?? 0);
      });
    },
  });
  // Until its address is taken out of the Service, connections to it are refused, and the API server does not try twice.
  expect(recoveryMs, JSON.stringify(counts.messages)).toBeLessThan(5000);
  expect(counts.verdicts.refusedByUs).toBe(0);
});

describe("somebody changes the MutatingWebhookConfiguration", () => {
  test("caBundle is wiped", async () => {
    const before = await publishedBundle();
    const { counts, recoveryMs } = await underFault({
      name: "caBundle wiped",
      namespace,
      async disturb() {
        const remove = [{ op: "remove", path: "/webhooks/0/clientConfig/caBundle" }];
        const change = ["--type=json", "--patch", JSON.stringify(remove)];
        await kubectl(["patch", "mutatingwebhookconfiguration", "nix-closure", ...change]);
        await waitFor("caBundle", async () => (await publishedBundle()) === before, { everyMs: 50 });
      },
    });
    expect(recoveryMs, JSON.stringify(counts.messages)).toBeLessThan(3000);
    expect(counts.verdicts.refusedByUs).toBe(0);
  });

  test("the manifests are applied again", async () => {
    const before = await publishedBundle();
    expect(certificates(before)).toBeGreaterThan(0);
    const outcome = await underFault({
      name: "manifests applied again",
      namespace,
      disturb: async () => void (await kubectl(["apply", "-k", "manifests/kind"])),
      live: { atMost: 2 },
    });
    expectNothingLost(outcome);
    expect(await publishedBundle()).toBe(before);
  });
});

test("the CA is rotated by deleting its Secret", async () => {
  const pods = await webhookPods();
  const before = { secret: await authority(), ends: await endsOf(pods), bundle: await publishedBundle() };
  const rotation: Fault = {
    name: "CA rotation",
    namespace,
    async disturb() {
      await kubectl(["delete", "secret", "nix-closure-ca", "--namespace", webhookNamespace]);
      await waitFor("both authorities in caBundle", async () => {
        const next = await authority();
        const bundle = await publishedBundle();
        return next !== undefined && bundle !== before.bundle && bundle.endsWith(before.bundle);
      });
      // They keep the old certificate until the new authority is trusted everywhere.
      expect(await endsOf(pods)).toEqual(before.ends);
      await waitFor("new certificates", async () => {
        const ends = await endsOf(pods);
        return ends.every((end, index) => end > (before.ends[index] ?? 0));
      });
    },
    live: { everyMs: 5000 },
  };
  const { result, handshakes } = await withHandshakes(addresses(pods), () => underFault(rotation));
  expectNothingLost(result);
  expectAllBelieved(handshakes);
  const after = await authority();
  expect(after?.metadata.uid).not.toBe(before.secret?.metadata.uid);
  const decode = (text = ""): string => Buffer.from(text, "base64").toString();
  for (const address of addresses(pods)) {
    expect(await verifiedBy(address, decode(after?.data["ca.crt"]))).toBe(true);
    expect(await verifiedBy(address, decode(before.secret?.data["ca.crt"]))).toContain(
      "SSL certificate problem",
    );
  }
});

describe("certificates of 40 seconds", () => {
  let config: string | undefined;

  afterAll(async () => {
    const before = config;
    if (before === undefined) return;
    await editWebhookConfig(() => before);
    await restartWebhook();
    // The earlier figures are of replicas that have worked.
    const memory = await Promise.all((await webhookPods()).map((pod) => residentMemory(pod, "webhook")));
    await recordFigure("webhook, memory at rest", mebibytes(Math.max(...memory)));
  });

  test("a rolling update brings them", async () => {
    config = await editWebhookConfig((text) =>
      text.replace(/^cluster:\n/m, "cluster:\n  certificateValidity: 40s\n"),
    );
    const before = (await webhookPods()).map(({ metadata }) => metadata.name);
    const outcome = await underFault({
      name: "rolling update of the webhook",
      namespace,
      disturb: restartWebhook,
      live: { everyMs: 4000 },
    });
    expectNothingLost(outcome);
    const pods = await webhookPods();
    expect(pods.length).toBe(2);
    expect(pods.filter(({ metadata }) => before.includes(metadata.name))).toEqual([]);
    for (const end of await endsOf(pods)) expect(end).toBeLessThan(Date.now() + 40_000);
  });

  test("their end is never seen", async () => {
    const pods = await webhookPods();
    const first = await endsOf(pods);
    const expiry: Fault = {
      name: "end of the server certificates",
      namespace,
      async disturb() {
        await waitFor("the end of the first", async () => Date.now() > Math.max(...first) + 3000);
      },
      live: { everyMs: 6000 },
    };
    const { result, handshakes } = await withHandshakes(addresses(pods), () => underFault(expiry));
    expectNothingLost(result);
    expectAllBelieved(handshakes);
    for (const end of await endsOf(pods)) expect(end).toBeGreaterThan(Date.now());
  });
});

test("a Pod that runs meanwhile is left alone, and its warnings are found", () => watched.tell());

const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;
