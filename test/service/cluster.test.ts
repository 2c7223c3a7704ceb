import { describe, expect, onTestFinished, test } from "vitest";
import { FakeApiServer } from "../cluster/fake-api-server.ts";
import { podWith, ReviewClient, reviewOf } from "../webhook/https-client.ts";
import { makePair } from "../webhook/made-pair.ts";
import { hello, until } from "./demo-cache.ts";
import { makeFiles, run, type RunningService } from "./running-service.ts";

async function openApi(): Promise<FakeApiServer> {
  const api = await FakeApiServer.start();
  onTestFinished(() => api[Symbol.asyncDispose]());
  process.env["KUBECONFIG"] = api.kubeconfig;
  api.installWebhooks();
  return api;
}

/** A webhook of the cluster, with certificates of its own. */
async function startWebhook(): Promise<RunningService> {
  const files = await makeFiles(undefined);
  await files.writeConfig(files.config({ webhook: { listen: "127.0.0.1:0" }, cluster: {} }));
  return run(files, "webhook");
}

/** As the API server calls: by the Service's name, believing what is published. */
function apiServerClient(api: FakeApiServer, { service }: RunningService): ReviewClient {
  return new ReviewClient(service.ports.webhook ?? 0, {
    ca: [api.bundles[0] ?? ""],
    servername: "nix-closure-webhook.nix-closure.svc",
  });
}

const annotated = reviewOf(podWith({ "nix.closure": hello }));
const body = async ({ admin }: RunningService): Promise<string> => (await admin("/readyz")).body;

describe("a webhook in a cluster", () => {
  test("is ready when what is published verifies its certificate, and then answers the API server", async () => {
    const api = await openApi();
    const webhook = await startWebhook();
    await until(async () => (await webhook.admin("/readyz")).status === 200);
    expect(await body(webhook)).toBe(
      "[+]listening ok\n[+]certificate ok\n[+]kubernetes ok\n[+]caBundle ok\nreadyz check passed\n",
    );
    expect((await apiServerClient(api, webhook).review(annotated)).allowed).toBe(true);
    expect(await webhook.metric("ca_bundle_trusted")).toBe(1);
    expect(await webhook.metric("image_volumes_supported")).toBe(1);
    expect(await webhook.metric("ca_bundle_writes_total")).toBe(1);
    expect(await webhook.metric("ca_not_after_timestamp_seconds")).toBeGreaterThan(Date.now() / 1000);
  });

  test("can be ended while it still waits for the API server", async () => {
    const api = await openApi();
    api.broken = 500;
    const files = await makeFiles(undefined);
    await files.writeConfig(files.config({ webhook: { listen: "127.0.0.1:0" }, cluster: {} }));
    const end = new AbortController();
    const started = run(files, "webhook", end.signal);
    started.catch(() => undefined);
    await until(() => api.requests.length > 3);
    end.abort();
    await expect(started).rejects.toThrow("this process is shutting down");
    const asked = api.requests.length;
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(api.requests.length).toBe(asked);
  });

  test("stays ready while the API server is away, which asks for nothing meanwhile", async () => {
    const api = await openApi();
    const webhook = await startWebhook();
    await until(async () => (await webhook.admin("/readyz")).status === 200);
    api.broken = 500;
    api.touch();
    await until(async () => ((await webhook.metric("api_server_errors_total")) ?? 0) > 1);
    expect((await webhook.admin("/readyz")).status).toBe(200);
    expect(await webhook.metric("ca_bundle_trusted")).toBe(1);
  });

  test("is not ready while nothing is published", async () => {
    const api = await openApi();
    api.objects.clear();
    const webhook = await startWebhook();
    const missing = "[-]caBundle: there is no MutatingWebhookConfiguration nix-closure\n";
    await until(async () => (await body(webhook)).includes(missing));
    expect((await webhook.admin("/readyz")).status).toBe(503);
    expect(await webhook.metric("ca_bundle_trusted")).toBe(0);
  });

  test("leaves the certificate of files and another's caBundle alone, and holds them against each other", async () => {
    const api = await openApi();
    const [good, bad] = await Promise.all([makePair(), makePair()]);
    const service = { namespace: "nix-closure", name: "nix-closure-webhook" };
    const publish = (ca: string): void =>
      api.installWebhooks({
        name: "pods.example.com",
        clientConfig: { service, caBundle: Buffer.from(ca).toString("base64") },
      });
    const files = await makeFiles(good.pair);
    await files.writeConfig(files.config({ cluster: {} }));
    publish(bad.ca);
    const webhook = await run(files, "webhook");
    await until(async () => (await body(webhook)).includes("[-]caBundle: caBundle does not verify"));
    expect(api.secret).toBeUndefined();
    expect(api.requests.filter((line) => !/^(GET|WATCH) /.test(line))).toEqual([]);
    expect(api.requests.filter((line) => line.includes("secrets"))).toEqual([]);
  });
});

describe("an API server that hangs", () => {
  // By the clock on the wall, of which others on the machine can take their share.
  test("does not keep the webhook from ending", { retry: 2 }, async () => {
    const api = await openApi();
    const webhook = await startWebhook();
    await until(async () => (await webhook.admin("/readyz")).status === 200);
    api.silent = true;
    const seen = api.requests.length;
    api.touch();
    await until(() => api.requests.length > seen);
    const started = performance.now();
    await webhook.service.close();
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});

describe("the feature gate", () => {
  test.for<
    [gitVersion: string, extra: Readonly<Record<string, string>>, metrics: string | number, readyz: string]
  >([
    ["v1.35.4", {}, 503, "[+]kubernetes ok"],
    ["v1.35.4", {}, 403, "[+]kubernetes ok"],
    [
      "v1.35.4",
      {},
      'kubernetes_feature_enabled{name="ImageVolume",stage="BETA"} 0',
      "[!]kubernetes: Kubernetes v1.35.4 drops",
    ],
    ["v1.34.9", {}, 403, "[!]kubernetes: Kubernetes v1.34.9 drops image volumes unless"],
    ["v1.34.9", {}, 'kubernetes_feature_enabled{name="ImageVolume",stage="BETA"} 1', "[+]kubernetes ok"],
    ["v1.36.3", { emulationMajor: "1", emulationMinor: "36" }, 403, "[+]kubernetes ok"],
    [
      "v1.36.3",
      { emulationMajor: "1", emulationMinor: "34" },
      403,
      "[!]kubernetes: Kubernetes v1.34 (emulated by v1.36.3) drops",
    ],
  ])("of %s %j with metrics %j: %s", async ([gitVersion, extra, metrics, readyz]) => {
    const api = await openApi();
    api.version = { major: "1", minor: "0", gitVersion, ...extra };
    api.metrics = metrics;
    const webhook = await startWebhook();
    await until(async () => !(await body(webhook)).includes("not yet known"));
    expect(await body(webhook)).toContain(readyz);
  });
});

test("a webhook that nothing tells where its API server is does not start, and says so", async () => {
  process.env["KUBECONFIG"] = "";
  process.env["HOME"] = "/nonexistent";
  const files = await makeFiles(undefined);
  await files.writeConfig(files.config({ cluster: {}, webhook: { listen: "127.0.0.1:0" } }));
  await expect(run(files, "webhook")).rejects.toThrow(
    /the API server could not be found: neither KUBECONFIG/,
  );
});

describe("an API server that drops image volumes", () => {
  test("gets denials in words from a webhook that stays ready, until it is upgraded", async () => {
    const api = await openApi();
    api.version = { major: "1", minor: "34", gitVersion: "v1.34.9" };
    api.metrics = 'kubernetes_feature_enabled{name="ImageVolume",stage="BETA"} 0\n';
    const webhook = await startWebhook();
    await until(async () => (await webhook.admin("/readyz")).status === 200);
    const { allowed, status } = await apiServerClient(api, webhook).review(annotated);
    expect(allowed).toBe(false);
    expect(status?.message).toContain(
      "Kubernetes v1.34.9 drops image volumes: its feature gate ImageVolume is off, so the Pod would start without its closure",
    );
    expect(status?.message).toContain("IMAGE_VOLUMES_UNSUPPORTED");
    expect(await body(webhook)).toContain("[!]kubernetes: Kubernetes v1.34.9 drops image volumes");
    expect(await webhook.metric("image_volumes_supported")).toBe(0);
    // A Pod that asks for nothing is none of its business.
    const plain = await apiServerClient(api, webhook).review(reviewOf(podWith({})));
    expect(plain.allowed).toBe(true);
  });
});
