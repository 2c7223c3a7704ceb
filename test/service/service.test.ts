import { createHash } from "node:crypto";
import { createServer, type AddressInfo, type Server } from "node:net";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { NixClosureError } from "../../src/errors.ts";
import { createAuthority, issueServerCertificate } from "../../src/webhook/tls/authority.ts";
import { podWith, reviewOf } from "../webhook/https-client.ts";
import { makePair, type TestPair } from "../webhook/made-pair.ts";
import { hello, mixed, unknown, until } from "./demo-cache.ts";
import { makeFiles, run, runWith, type RunningService } from "./running-service.ts";

let first: TestPair;
beforeAll(async () => {
  first = await makePair();
});

describe("a role", () => {
  test.each([
    ["all", ["admin", "registry", "webhook"], ["listening", "certificate", "blobs"]],
    ["webhook", ["admin", "webhook"], ["listening", "certificate"]],
    ["registry", ["admin", "registry"], ["listening", "blobs"]],
  ] as const)("%s has the ports and conditions of its parts", async (role, ports, conditions) => {
    const { service, admin, log } = await runWith(first, role);
    expect(Object.keys(service.ports).sort()).toEqual(ports);
    for (const port of Object.values(service.ports)) expect(port).toBeGreaterThan(0);
    const lines = conditions.map((name) => `[+]${name} ok\n`);
    expect(await admin("/readyz")).toEqual({
      status: 200,
      body: `${lines.join("")}readyz check passed\n`,
    });
    expect(await admin("/livez")).toEqual({ status: 200, body: "ok" });
    expect(log.map(({ level }) => level)).not.toContain("error");
  });

  test("registry needs no certificate", async () => {
    const files = await makeFiles(undefined);
    expect((await (await run(files, "registry")).admin("/readyz")).status).toBe(200);
  });
});

/** What the registry has at a path. */
async function pull({ registry }: RunningService, path: string): Promise<{ type: string; bytes: Buffer }> {
  const response = await fetch(`${registry}/v2/${path}`);
  expect(response.status, path).toBe(200);
  return {
    type: response.headers.get("content-type") ?? "",
    bytes: Buffer.from(await response.arrayBuffer()),
  };
}

/** Pulls an image as a node does: index, a manifest, its config and layer, each held against its digest. */
async function pullImage(running: RunningService, repository: string, tag: string): Promise<Buffer> {
  interface Descriptor {
    readonly digest: string;
    readonly size: number;
  }
  const blob = async (kind: string, { digest, size }: Descriptor): Promise<Buffer> => {
    const { bytes } = await pull(running, `${repository}/${kind}/${digest}`);
    expect(bytes).toHaveLength(size);
    expect(`sha256:${createHash("sha256").update(bytes).digest("hex")}`).toBe(digest);
    return bytes;
  };
  const index = await pull(running, `${repository}/manifests/${tag}`);
  expect(index.type).toBe("application/vnd.oci.image.index.v1+json");
  const { manifests } = JSON.parse(index.bytes.toString()) as { manifests: Descriptor[] };
  const manifest = JSON.parse((await blob("manifests", manifests[0]!)).toString()) as {
    config: Descriptor;
    layers: Descriptor[];
  };
  await blob("blobs", manifest.config);
  return blob("blobs", manifest.layers[0]!);
}

test("the registry serves the base image, and the images that the webhook's patch names", async () => {
  const running = await runWith(first);
  const { allowed, patch = "" } = await running
    .client([first.ca])
    .review(reviewOf(podWith({ "nix.closure": mixed })));
  expect(allowed).toBe(true);
  const references = [
    ...Buffer.from(patch, "base64")
      .toString()
      .matchAll(/localhost:5417\/([^":]+):([^"]+)/g),
  ];
  expect(references.map(([, repository]) => repository)).toContain(
    "demo/path/qk79bwpv0lwx4gm27p3h754sl2n6rsh7",
  );
  expect(references.some(([, repository]) => repository?.startsWith("demo/closure/"))).toBe(true);
  for (const [, repository = "", tag = ""] of references) {
    expect((await pullImage(running, repository, tag)).length % 512).toBe(0);
  }
  expect((await pullImage(running, "base", "1")).toString("latin1")).toContain("etc/passwd");
});

describe("metrics", () => {
  test("of the webhook and the resolver move with reviews", async () => {
    const running = await runWith(first, "webhook");
    const client = running.client([first.ca]);
    const injected = 'admissions_total{outcome="injected",reason="none"}';
    expect(await running.metric(injected)).toBe(0);
    expect(await running.metric('cache_requests_total{kind="narinfo",outcome="hit"}')).toBe(0);

    for (const root of [hello, hello, unknown, "wrong"])
      await client.review(reviewOf(podWith({ "nix.closure": root })));
    await client.review(reviewOf(podWith({})));
    await client.send("{}");

    expect(await running.metric(injected)).toBe(2);
    expect(await running.metric('admissions_total{outcome="skipped",reason="none"}')).toBe(1);
    expect(await running.metric('admissions_total{outcome="denied",reason="PATH_UNKNOWN"}')).toBe(1);
    expect(await running.metric('admissions_total{outcome="denied",reason="STORE_PATH_INVALID"}')).toBe(1);
    expect(await running.metric("admissions_in_flight")).toBe(0);
    expect(await running.metric("injected_volumes_sum")).toBe(10);
    expect(await running.metric('cache_requests_total{kind="narinfo",outcome="hit"}')).toBe(5);
    expect(await running.metric('cache_requests_total{kind="narinfo",outcome="missing"}')).toBe(1);
    expect(await running.metric('resolver_memory_lookups_total{outcome="hit"}')).toBeGreaterThan(0);
    const { notAfter } = first.pair;
    expect(await running.metric("certificate_not_after_timestamp_seconds")).toBe(notAfter.getTime() / 1000);
    expect(await running.metric('build_info{version="1.2.3"}')).toBe(1);
  });

  test("of latency have buckets from 0.5 ms to 10 s", async () => {
    const running = await runWith(first, "webhook");
    await running.client([first.ca]).review(reviewOf(podWith({ "nix.closure": hello })));
    const { body } = await running.admin("/metrics");
    const buckets = [...body.matchAll(/admission_duration_seconds_bucket\{.*?le="([^"]+)".*?\} (\d+)/g)];
    expect(buckets.map(([, bound]) => bound).join(" ")).toBe(
      "0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 +Inf",
    );
    expect(buckets.at(-1)?.[2]).toBe("1");
  });

  test("of the registry move with pulls", async () => {
    const running = await runWith(first, "registry");
    expect(await running.metric("blob_store_blobs")).toBe(0);
    const layer = await pullImage(running, "demo/path/4vlwxs24hwlvm23q063xvdmkzvlxjw1s", "1");
    // The other paths of its closure follow.
    await until(async () => (await running.metric('read_ahead_images_total{outcome="converted"}')) === 4);
    expect(await running.metric('conversions_total{kind="path",outcome="ok"}')).toBe(5);
    expect(await running.metric('conversion_bytes_total{kind="path"}')).toBeGreaterThan(layer.length);
    expect(await running.metric('registry_requests_total{kind="manifest",status="2xx"}')).toBe(2);
    expect(await running.metric('registry_requests_total{kind="blob",status="2xx"}')).toBe(2);
    expect(await running.metric("blob_store_bytes")).toBeGreaterThanOrEqual(layer.length);
    expect(await running.metric('cache_requests_total{kind="narinfo",outcome="hit"}')).toBeGreaterThan(0);
  });
});

describe("a certificate that is out of its time", () => {
  test.each([
    ["expired", -2, /^\[-\]certificate: expired at 20\d\d-/],
    ["not yet valid", 2, /^\[-\]certificate: not valid before 20\d\d-/],
  ])("%s is told by readyz, while it still serves", async (_, daysFromNow, words) => {
    const now = new Date(Date.now() + daysFromNow * 86_400_000);
    const authority = await createAuthority({ commonName: "test CA", days: 1, now });
    const names = { dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] };
    const pair = await issueServerCertificate(authority, { ...names, days: 1, now });
    const { admin, client } = await runWith({ pair, ca: authority.certificatePem }, "webhook");
    const { status, body } = await admin("/readyz");
    expect(status).toBe(503);
    expect(body.split("\n").find((line) => line.includes("certificate"))).toMatch(words);
    const unverified = client([]);
    Object.assign(unverified.options, { rejectUnauthorized: false });
    expect(await unverified.review(reviewOf(podWith({ "nix.closure": hello })))).toMatchObject({
      allowed: true,
    });
  });
});

/** The error that a start must fail with. */
async function failure(starting: Promise<unknown>): Promise<NixClosureError> {
  const error: unknown = await starting.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(NixClosureError);
  return error as NixClosureError;
}

/** Listens on a port of 127.0.0.1 until the test ends. */
async function occupy(port = 0): Promise<number> {
  const server: Server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

describe("a start that fails says why, and leaves nothing behind", () => {
  test.each(["admin", "webhook", "registry"])("port of %s taken", async (part) => {
    const files = await makeFiles(first.pair);
    const taken = await occupy();
    const config = files.config() as Record<string, Record<string, object | string>>;
    // Ports of the other parts that are known, to see that they are free again.
    const others = ["admin", "webhook", "registry"].filter((other) => other !== part);
    const running = await run(files);
    const ports = new Map(Object.entries(running.service.ports));
    await running.service.close();
    for (const other of others) config[other] = { ...config[other], listen: `127.0.0.1:${ports.get(other)}` };
    config[part] = { ...config[part], listen: `127.0.0.1:${taken}` };
    await files.writeConfig(config);

    const error = await failure(run(files));
    expect(error.code).toBe("PORT_UNAVAILABLE");
    expect(error.message).toBe(
      `cannot listen on 127.0.0.1:${taken}: another process listens there; end it, or choose another port (${part}.listen)`,
    );
    for (const other of others) await expect(occupy(ports.get(other)), other).resolves.toBe(ports.get(other));
    // The blob store is free too.
    await files.writeConfig(files.config());
    expect((await (await run(files)).admin("/readyz")).status).toBe(200);
  });

  test("an address that is not this machine's", async () => {
    const files = await makeFiles(first.pair);
    await files.writeConfig(files.config({ admin: { listen: "192.0.2.1:5418" } }));
    expect((await failure(run(files))).message).toMatch(
      /192\.0\.2\.1:5418: this machine has no such address/,
    );
  });

  test("a certificate that is not there, before anything listens", async () => {
    const files = await makeFiles(undefined);
    const error = await failure(run(files));
    expect(error.code).toBe("CERTIFICATE_INVALID");
    expect(error.message).toBe(
      `certificate ${files.directory}/tls.pem: there is no such file; make one with "nix-closure certs"`,
    );
  });

  test("a key that is not there", async () => {
    const files = await makeFiles(undefined);
    await files.writeCertificate(first.pair);
    expect((await failure(run(files))).message).toMatch(
      /^certificate .*tls\.key: there is no such file; make/,
    );
  });

  test("a blob store that another process has", async () => {
    const files = await makeFiles(first.pair);
    await run(files);
    expect((await failure(run(files))).code).toBe("BLOB_STORE_IN_USE");
  });
});
