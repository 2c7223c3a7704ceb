import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { Agent } from "node:https";
import { connect, createServer, type Socket } from "node:net";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { podWith, reviewOf } from "../webhook/https-client.ts";
import { makePair, type TestPair } from "../webhook/made-pair.ts";
import { openTls } from "../webhook/running-webhook.ts";
import { demoSource, DemoCacheServer, hello, nginx, until } from "./demo-cache.ts";
import { makeFiles, run, runWith } from "./running-service.ts";

let first: TestPair;
beforeAll(async () => {
  first = await makePair();
});

const review = (closure: string) => reviewOf(podWith({ "nix.closure": closure }));

/** Whether a port of 127.0.0.1 is free. */
async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** A connection that says nothing. */
async function silent(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  return socket;
}

/** Whether a connection was never made, so that nobody has accepted a request on it. */
function isUnmade(error: unknown): boolean {
  const { syscall, message } = error as NodeJS.ErrnoException;
  return syscall === "connect" || message.includes("before secure TLS connection was established");
}

describe("a service that ends under load", () => {
  test("answers all that it has accepted, and tells clients to go elsewhere", async () => {
    const { service, client } = await runWith(first, "webhook");
    const agent = new Agent({ keepAlive: true, maxSockets: 4 });
    onTestFinished(() => agent.destroy());
    const kept = client([first.ca], agent);
    const lost: unknown[] = [];
    let answers = 0;
    let afterClosing = 0;
    let closing: Promise<void> | undefined;
    const load = Array.from({ length: 8 }, async () => {
      for (;;) {
        try {
          const { headers, status } = await kept.send(JSON.stringify(review(hello)));
          expect(status).toBe(200);
          answers++;
          if (closing !== undefined && headers["connection"] === "close") afterClosing++;
        } catch (error) {
          if (!isUnmade(error)) lost.push(error);
          return;
        }
      }
    });
    await until(() => answers > 50);
    closing = service.close(200);
    await Promise.all([closing, ...load]);
    expect(lost).toEqual([]);
    expect(afterClosing).toBeGreaterThan(0);
  });

  test("answers a review that waits for a cache", async () => {
    await using cache = await DemoCacheServer.start();
    const files = await makeFiles(first.pair);
    await files.writeConfig(files.config({ sources: { demo: demoSource(cache.url) } }));
    const { service, client } = await run(files, "webhook");
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    cache.stall();
    const reviewing = client([first.ca], agent).send(JSON.stringify(review(nginx)));
    await until(() => cache.requests.length > 0);
    const quiet = await silent(service.ports.webhook ?? 0);
    const closing = service.close();
    // Longer than connections may be open on which nothing is asked.
    await once(quiet, "close");
    cache.wake();
    const answer = await reviewing;
    expect(answer.body).toContain('"allowed":true');
    expect(answer.headers["connection"]).toBe("close");
    await closing;
  });

  test("sends a layer to its last byte", async () => {
    const { service, registry } = await runWith(first, "registry");
    // Python's: 20 MiB do not fit into the buffers of a connection.
    const image = `${registry}/v2/demo/path/xd7r0f8g909gdswjn0kri25sl3wchgy6`;
    const json = async (path: string) =>
      (await (await fetch(image + path)).json()) as Record<string, { digest: string; size: number }[]>;
    const { manifests = [] } = await json("/manifests/1");
    const { layers = [] } = await json(`/manifests/${manifests[0]?.digest}`);
    const [layer] = layers;
    const [response] = (await once(get(`${image}/blobs/${layer?.digest}`), "response")) as [IncomingMessage];
    const closing = service.close();
    await until(() => isFree(service.ports.registry ?? 0));
    let bytes = 0;
    for await (const chunk of response) bytes += (chunk as Buffer).length;
    expect(bytes).toBe(layer?.size);
    await closing;
  });
});

describe("a service that ends is not held up", () => {
  test("by connections on which nothing is asked", async () => {
    const { service, client } = await runWith(first);
    const { admin, registry = 0, webhook = 0 } = service.ports;
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    expect(await client([first.ca], agent).review(review(hello))).toMatchObject({ allowed: true });
    const idle = Object.values(agent.freeSockets).flat()[0];
    const sockets = [
      await silent(webhook),
      await openTls(webhook, first),
      await silent(registry),
      await silent(admin),
    ];
    const halfRequest = await silent(registry);
    halfRequest.write("GET /v2/ HTTP/1.1\r\n");
    const ended = [...sockets, halfRequest, idle!].map(async (socket) => once(socket.resume(), "close"));
    const started = performance.now();
    await service.close();
    // Requests are waited for longer.
    expect(performance.now() - started).toBeLessThan(15_000);
    await Promise.all(ended);
    for (const port of [admin, registry, webhook]) expect(await isFree(port)).toBe(true);
  });

  test("and the next one starts on the same ports and the same blob store", async () => {
    const files = await makeFiles(first.pair);
    const before = await run(files);
    const { admin, registry, webhook } = before.service.ports;
    const config = files.config() as Record<"registry" | "webhook" | "admin", object>;
    await before.service.close();
    await files.writeConfig({
      ...config,
      admin: { listen: `127.0.0.1:${admin}` },
      registry: { ...config.registry, listen: `127.0.0.1:${registry}` },
      webhook: { ...config.webhook, listen: `127.0.0.1:${webhook}` },
    });
    for (let times = 0; times < 2; times++) {
      const again = await run(files);
      expect(again.service.ports).toEqual(before.service.ports);
      expect(await again.client([first.ca]).review(review(hello))).toMatchObject({ allowed: true });
      await again.service.close();
    }
  });
});

test("during the lead a service serves on, unready", async () => {
  const { service, admin, client } = await runWith(first, "webhook");
  const closing = service.close(300);
  const { status, body } = await admin("/readyz");
  expect(status).toBe(503);
  expect(body).toContain("[-]shutdown: this replica is shutting down\n");
  expect((await admin("/livez")).status).toBe(200);
  expect(await client([first.ca]).review(review(hello))).toMatchObject({ allowed: true });
  await closing;
  await expect(admin("/livez")).rejects.toThrow();
});
