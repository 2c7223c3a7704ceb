import { once } from "node:events";
import { rm } from "node:fs/promises";
import { Agent } from "node:https";
import { networkInterfaces } from "node:os";
import { connect } from "node:tls";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { podWith, reviewOf } from "../webhook/https-client.ts";
import { makePair, type TestPair } from "../webhook/made-pair.ts";
import { demoSource, demoUrl, DemoCacheServer, hello, nginx, until } from "./demo-cache.ts";
import { makeFiles, run, type RunningService } from "./running-service.ts";

let first: TestPair;
let second: TestPair;
beforeAll(async () => {
  [first, second] = await Promise.all([makePair(), makePair()]);
});

const review = (closure: string) => reviewOf(podWith({ "nix.closure": closure }));

describe("a configuration that changes", () => {
  const accepted = 'config_reloads_total{outcome="accepted"}';
  const rejected = 'config_reloads_total{outcome="rejected"}';

  test("is in force without a restart: sources, default source, and the host of references", async () => {
    const files = await makeFiles(first.pair);
    const running = await run(files);
    const client = running.client([first.ca]);
    expect((await client.review(review(`extra:${hello}`))).status?.message).toContain("[SOURCE_UNKNOWN");
    expect(await running.metric(accepted)).toBe(0);

    const registry = { ...(files.config() as { registry: object }).registry, reference: "nix.example:5000" };
    const sources = { extra: demoSource(demoUrl) };
    await files.writeConfig(files.config({ sources, registry }));
    await until(async () => (await running.metric(accepted)) === 1);

    expect((await client.review(review(`demo:${hello}`))).status?.message).toContain("[SOURCE_UNKNOWN");
    const { patch = "" } = await client.review(review(hello));
    expect(Buffer.from(patch, "base64").toString()).toContain("nix.example:5000/extra/path/");
    const path = "path/4vlwxs24hwlvm23q063xvdmkzvlxjw1s/manifests/1";
    expect((await fetch(`${running.registry}/v2/extra/${path}`)).status).toBe(200);
    expect((await fetch(`${running.registry}/v2/demo/${path}`)).status).toBe(404);
    expect(running.log.filter(({ level }) => level === "warn" || level === "error")).toEqual([]);
  });

  test.each([
    ["is no YAML", "sources: [", /not YAML/],
    ["has an unknown key", "sorces: {}", /unknown key sorces; did you mean sources\?/],
    ["names a cache that cannot be used", "sources: {demo: {caches: ['file:///x?y']}}", /is not a cache/],
  ])("stays out of force while it %s", async (_, text, words) => {
    const files = await makeFiles(first.pair);
    const running = await run(files, "webhook");
    await files.writeConfig(text);
    await until(async () => (await running.metric(rejected)) === 1);
    const refused = running.log.find(({ msg }) => msg.includes("the last good one stays in force"));
    expect(refused).toMatchObject({ level: "warn", err: { message: expect.stringMatching(words) } });
    expect(await running.client([first.ca]).review(review(`demo:${hello}`))).toMatchObject({ allowed: true });
    expect(await running.metric(accepted)).toBe(0);
    expect((await running.admin("/readyz")).status).toBe(200);

    await files.writeConfig(files.config({ sources: { mended: demoSource(demoUrl) } }));
    await until(async () => (await running.metric(accepted)) === 1);
    expect(await running.client([first.ca]).review(review(`mended:${hello}`))).toMatchObject({
      allowed: true,
    });
    expect(await running.metric(rejected)).toBe(1);
  });

  test("stays in force when its file is gone, which is counted", async () => {
    const files = await makeFiles(first.pair);
    const running = await run(files, "webhook");
    const unreadable = 'config_reloads_total{outcome="unreadable"}';
    expect(await running.metric(unreadable)).toBe(0);
    await rm(files.configFile);
    await until(async () => (await running.metric(unreadable)) === 1);
    expect(running.log.find(({ msg }) => msg.startsWith("configuration unreadable"))).toMatchObject({
      level: "warn",
      err: { message: expect.stringContaining(files.configFile) },
    });
    expect(await running.client([first.ca]).review(review(hello))).toMatchObject({ allowed: true });
    await files.writeConfig(files.config({ sources: { back: demoSource(demoUrl) } }));
    await until(async () => (await running.metric(accepted)) === 1);
    expect(await running.metric(unreadable)).toBe(1);
    expect(await running.metric(rejected)).toBe(0);
  });

  test("says in the log which parts wait for a restart, until they are as they were", async () => {
    const files = await makeFiles(first.pair);
    const running = await run(files);
    const waiting = () =>
      running.log.filter(({ msg }) => msg === "takes effect at the next start").map(({ part }) => part);
    const base = files.config() as { registry: { blobs: object }; webhook: object };
    await files.writeConfig({
      ...base,
      registry: { ...base.registry, blobs: { ...base.registry.blobs, maxBytes: "20Mi" } },
      webhook: { ...base.webhook, minTLSVersion: "1.3" },
      log: { level: "warn" },
    });
    await until(async () => (await running.metric(accepted)) === 1);
    expect(waiting()).toEqual(["registry.blobs", "webhook", "log"]);
    // Its biggest image has 13 MiB, more than half of the new budget, which is not in force.
    expect(await running.client([first.ca]).review(review(hello))).toMatchObject({ allowed: true });

    await files.writeConfig({ ...base, log: { level: "warn" } });
    await until(async () => (await running.metric(accepted)) === 2);
    expect(waiting()).toEqual(["registry.blobs", "webhook", "log", "log"]);
    await files.writeConfig(base);
    await until(async () => (await running.metric(accepted)) === 3);
    expect(waiting()).toHaveLength(4);
  });

  test("does not break a review that is under way", async () => {
    await using cache = await DemoCacheServer.start();
    const files = await makeFiles(first.pair);
    await files.writeConfig(files.config({ sources: { demo: demoSource(cache.url) } }));
    const running = await run(files, "webhook");
    const client = running.client([first.ca]);
    cache.stall();
    const reviewing = client.review(review(nginx), "?timeout=30s");
    await until(() => cache.requests.length > 0);
    await files.writeConfig(files.config());
    await until(async () => (await running.metric(accepted)) === 1);
    expect(await client.review(review(hello))).toMatchObject({ allowed: true });
    cache.wake();
    expect(await reviewing).toMatchObject({ allowed: true });
  });
});

/** The certificate that a new connection gets. */
async function fingerprint(port: number, host = "127.0.0.1"): Promise<string> {
  const socket = connect({ host, port, servername: "localhost", rejectUnauthorized: false });
  try {
    await once(socket, "secureConnect");
    return socket.getPeerCertificate().fingerprint256;
  } finally {
    socket.destroy();
  }
}

describe("a certificate that changes", () => {
  const accepted = 'certificate_reloads_total{outcome="accepted"}';
  const rejected = 'certificate_reloads_total{outcome="rejected"}';
  const port = ({ service }: RunningService) => service.ports.webhook ?? 0;

  test("is on new connections, and no request fails meanwhile", async () => {
    const files = await makeFiles(first.pair);
    const running = await run(files, "webhook");
    const agent = new Agent({ keepAlive: true, maxSockets: 2 });
    onTestFinished(() => agent.destroy());
    const ca = [first.ca, second.ca];
    const kept = running.client(ca, agent);
    const fresh = running.client(ca, new Agent({ keepAlive: false }));
    const over = new AbortController();
    let answers = 0;
    const load = [kept, kept, fresh, fresh].map(async (client) => {
      while (!over.signal.aborted) {
        expect(await client.review(review(hello))).toMatchObject({ allowed: true });
        answers++;
      }
    });
    for (const [i, { pair }] of [second, first, second].entries()) {
      const before = answers;
      await files.writeCertificate(pair);
      await files.writeKey(pair);
      await until(async () => (await running.metric(accepted)) === i + 1);
      expect(await fingerprint(port(running))).toBe(pair.fingerprint);
      await until(() => answers > before + 8);
    }
    over.abort();
    await Promise.all(load);
    const notAfter = second.pair.notAfter.getTime() / 1000;
    expect(await running.metric("certificate_not_after_timestamp_seconds")).toBe(notAfter);
  });

  test("is not served before its key has come", async () => {
    const files = await makeFiles(first.pair);
    const running = await run(files, "webhook");
    await files.writeCertificate(second.pair);
    await until(async () => (await running.metric(rejected)) === 1);
    expect(await fingerprint(port(running))).toBe(first.pair.fingerprint);
    expect((await running.admin("/readyz")).status).toBe(200);
    expect(running.log).toContainEqual(
      expect.objectContaining({
        level: "warn",
        msg: "certificate refused, the last good pair stays in force",
        err: expect.objectContaining({ message: expect.stringContaining("is not the private key of") }),
      }),
    );

    await files.writeKey(second.pair);
    await until(async () => (await running.metric(accepted)) === 1);
    expect(await fingerprint(port(running))).toBe(second.pair.fingerprint);
  });

  const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
    list?.some(({ address }) => address === "::1"),
  );
  test.skipIf(!hasIpv6)("is on all addresses of localhost (skipped on a machine without ::1)", async () => {
    const files = await makeFiles(first.pair);
    const { webhook } = files.config() as { webhook: object };
    await files.writeConfig(files.config({ webhook: { ...webhook, listen: "localhost:0" } }));
    const running = await run(files, "webhook");
    for (const { pair } of [first, second]) {
      await files.writeCertificate(pair);
      await files.writeKey(pair);
      for (const host of ["127.0.0.1", "::1"])
        await until(async () => (await fingerprint(port(running), host)) === pair.fingerprint);
    }
  });
});
