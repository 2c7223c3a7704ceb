import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { FastifyInstance } from "fastify";
import { createHealth, type Health } from "../../src/admin/health.ts";
import { createMetrics } from "../../src/admin/metrics.ts";
import { createAdminServer } from "../../src/admin/server.ts";

let server: FastifyInstance | undefined;
let address: string;

async function start(health: Health): Promise<void> {
  server = createAdminServer({ health, metrics: createMetrics("1.2.3") });
  address = await server.listen({ port: 0, host: "127.0.0.1" });
}
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function ask(path: string): Promise<{ status: number; body: string }> {
  const response = await fetch(address + path);
  return { status: response.status, body: await response.text() };
}

describe("/readyz", () => {
  let health: Health;
  beforeEach(async () => {
    health = createHealth(["certificate", "sources"]);
    await start(health);
  });

  test("is 503 until every condition that was named has been set", async () => {
    health.set("certificate", true);
    expect(await ask("/readyz")).toEqual({
      status: 503,
      body: "[+]certificate ok\n[-]sources: not yet known\nreadyz check failed\n",
    });
  });

  test("is 200, with a line for each, when all hold", async () => {
    health.set("sources", true);
    health.set("certificate", true);
    expect(await ask("/readyz")).toEqual({
      status: 200,
      body: "[+]certificate ok\n[+]sources ok\nreadyz check passed\n",
    });
    expect((await ask("/readyz?verbose")).body).toBe((await ask("/readyz")).body);
  });

  test("follows a condition that is lost and found", async () => {
    health.set("sources", true);
    health.set("certificate", "expired since 2026-11-24\nrenew it");
    expect(await ask("/readyz")).toEqual({
      status: 503,
      body: "[-]certificate: expired since 2026-11-24 renew it\n[+]sources ok\nreadyz check failed\n",
    });
    health.set("certificate", true);
    expect((await ask("/readyz")).status).toBe(200);
  });

  test("takes a condition that was not named before", async () => {
    health.set("certificate", true);
    health.set("sources", true);
    health.set("registry", "starting");
    expect(await ask("/readyz")).toMatchObject({
      status: 503,
      body: expect.stringContaining("[-]registry: starting\n"),
    });
  });

  test("is 503 for good once the replica shuts down, while it stays live", async () => {
    health.set("certificate", true);
    health.set("sources", true);
    expect(health.shuttingDown).toBe(false);
    health.shutDown();
    health.set("shutdown", true);
    expect(health.shuttingDown).toBe(true);
    expect(await ask("/readyz")).toEqual({
      status: 503,
      body: "[+]certificate ok\n[+]sources ok\n[-]shutdown: this replica is shutting down\nreadyz check failed\n",
    });
    expect(await ask("/livez")).toEqual({ status: 200, body: "ok" });
  });
});

describe("/livez", () => {
  test("does not depend on readiness", async () => {
    await start(createHealth(["sources"]));
    expect(await ask("/livez")).toEqual({ status: 200, body: "ok" });
  });

  test("is 500 with the reasons when something is beyond repair", async () => {
    const health = createHealth();
    await start(health);
    health.setLive("workers", "all 2 worker threads are gone");
    health.setLive("disk", true);
    expect(await ask("/livez")).toEqual({
      status: 500,
      body: "[-]workers: all 2 worker threads are gone\n[+]disk ok\nlivez check failed\n",
    });
    health.setLive("workers", true);
    expect((await ask("/livez")).status).toBe(200);
  });
});

describe("the server", () => {
  beforeEach(() => start(createHealth()));

  test.each([
    ["/livez", "text/plain; charset=utf-8"],
    ["/readyz", "text/plain; charset=utf-8"],
    // docs of Prometheus, "Exposition formats", basic info.
    ["/metrics", "text/plain; version=0.0.4; charset=utf-8"],
  ])("answers GET and HEAD %s as %s", async (path, type) => {
    for (const method of ["GET", "HEAD"]) {
      const response = await fetch(address + path, { method });
      expect([response.status, response.headers.get("content-type")]).toEqual([200, type]);
    }
  });

  test("keeps probes out of caches", async () => {
    for (const path of ["/livez", "/readyz"]) {
      expect((await fetch(address + path)).headers.get("cache-control")).toBe("no-store");
    }
  });

  test.each([
    ["GET", "/"],
    ["POST", "/livez"],
    ["POST", "/metrics"],
  ])("has nothing else: %s %s", async (method, path) => {
    expect((await fetch(address + path, { method })).status).toBe(404);
  });

  test("answers 500 when the metrics cannot be made, and lives on", async () => {
    const broken = createAdminServer({
      health: createHealth(),
      metrics: { contentType: "text/plain", scrape: () => Promise.reject(new Error("no metrics")) },
    });
    expect((await broken.inject("/metrics")).statusCode).toBe(500);
    expect((await broken.inject("/livez")).statusCode).toBe(200);
    await broken.close();
  });
});
