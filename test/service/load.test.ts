/** Many admissions and pulls at once, and a blob store that is too small for them. */
import { readdir, stat } from "node:fs/promises";
import { Agent } from "node:http";
import { Agent as TlsAgent } from "node:https";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { beforeAll, expect, onTestFinished, test } from "vitest";

import type { AdmissionResponse } from "../../src/webhook/review.ts";
import { checkBlobs } from "../image/store-fixture.ts";
import { signer } from "../resolver/fake-store.ts";
import { podWith, ReviewClient, reviewOf } from "../webhook/https-client.ts";
import { makePair, type TestPair } from "../webhook/made-pair.ts";
import { demoSource, DemoCacheServer, mixed, nginx, python, until } from "./demo-cache.ts";
import { type LoadCache, makeLoadCache } from "./load-cache.ts";
import { type Pull, pullImage } from "./pull-client.ts";
import { makeFiles } from "./running-service.ts";
import { serve, type ServeProcess } from "./serve-process.ts";

let pair: TestPair;
beforeAll(async () => {
  pair = await makePair();
});

interface Loaded {
  readonly service: ServeProcess;
  /** Of its blobs. */
  readonly directory: string;
}

/** A service in a process of its own, with this source and a blob store of so many bytes. */
async function start(source: object, maxBytes: string | number): Promise<Loaded> {
  const files = await makeFiles(pair.pair);
  const directory = join(files.directory, "blobs");
  const registry = { listen: "127.0.0.1:0", blobs: { directory, maxBytes } };
  await files.writeConfig(files.config({ sources: { demo: source }, registry }));
  return { service: await serve(files.configFile), directory };
}

const sourceOf = ({ place }: LoadCache): object => ({
  caches: [pathToFileURL(place).href],
  publicKeys: [signer.publicKey],
});

/** So many reviews at once over as many connections, with the time that each took, in seconds. */
async function review(
  client: ReviewClient,
  roots: readonly string[],
  count: number,
  timeout: number,
): Promise<readonly { readonly response: AdmissionResponse; readonly took: number }[]> {
  const reviews = Array.from({ length: count }, async (_, i) => {
    const body = reviewOf(podWith({ "nix.closure": roots[i % roots.length]! }), { uid: `uid ${i}` });
    const started = performance.now();
    const response = await client.review(body, `?timeout=${timeout}s`);
    expect(response.uid).toBe(`uid ${i}`);
    return { response, took: (performance.now() - started) / 1000 };
  });
  return Promise.all(reviews);
}

function clientOf({ service }: Loaded): ReviewClient {
  const agent = new TlsAgent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  return new ReviewClient(service.ports.webhook, { ca: [pair.ca], agent });
}

/** So many pulls at once, of all paths of a cache in turn. */
function pull({ service }: Loaded, { hashes }: LoadCache, count: number): Promise<readonly Pull[]> {
  const agent = new Agent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  const registry = `http://127.0.0.1:${service.ports.registry}`;
  const pulls = Array.from({ length: count }, async (_, i) => {
    const image = { repository: `demo/path/${hashes[i % hashes.length]!}`, tag: "1" };
    return pullImage(registry, image, { agent, attempts: 20 });
  });
  return Promise.all(pulls);
}

/** What is on the disk is whole, within the budget, and what the metric says. */
async function expectSettled({ service, directory }: Loaded, maxBytes: number): Promise<void> {
  await until(async () => (await service.metric("image_requests_waiting")) === 0);
  // What is read ahead and has begun ends by itself.
  await until(async () => (await readdir(join(directory, "temporary"))).length === 0);
  const blobs = join(directory, "blobs", "sha256");
  const sizes = (await readdir(blobs)).map(async (name) => (await stat(join(blobs, name))).size);
  const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  expect(await checkBlobs(directory)).toBe(sizes.length);
  expect(await service.metric("blob_store_bytes")).toBe(bytes);
  expect(bytes).toBeLessThanOrEqual(maxBytes);
}

test("500 admissions and 200 pulls at once, of closures larger than the blob store", async () => {
  const cache = await makeLoadCache(5, 10, 2_000_000);
  const loaded = await start(sourceOf(cache), "64Mi");
  let mostWaiting = 0;
  let isOver = false;
  const watching = until(async () => {
    mostWaiting = Math.max(mostWaiting, await loaded.service.metric("image_requests_waiting"));
    return isOver;
  });
  const [reviewed, pulled] = await Promise.all([
    review(clientOf(loaded), cache.roots, 500, 30),
    pull(loaded, cache, 200),
  ]);
  isOver = true;
  await watching;

  for (const { response, took } of reviewed) {
    // A slow machine may refuse some, as those that the API server can send again.
    if (!response.allowed) expect([503, 504]).toContain(response.status?.code);
    expect(took).toBeLessThan(30);
  }
  // Right bytes in the end, and none was sent away because there are too many.
  expect(pulled.flatMap(({ refusals }) => refusals).filter((status) => status !== 404)).toEqual([]);
  expect(mostWaiting).toBeGreaterThan(50);
  expect(mostWaiting).toBeLessThanOrEqual(200);
  await expectSettled(loaded, 64 * 2 ** 20);
});

test("an image stays until those who were told of it have it, in a store with room for two", async () => {
  const cache = await makeLoadCache(1, 8, 5_000_000);
  const maxBytes = 14_000_000;
  const loaded = await start(sourceOf(cache), maxBytes);
  const pulled = await pull(loaded, cache, 64);
  // Else each of them would be made several times, and most of the pulls be told to begin again.
  expect(pulled.flatMap(({ refusals }) => refusals).length).toBeLessThan(4);
  await expectSettled(loaded, maxBytes);
});

// By the clock on the wall, of which others on the machine can take their share.
test(
  "500 admissions while the cache hangs are all answered in time, as temporary",
  { retry: 2 },
  async () => {
    await using cache = await DemoCacheServer.start();
    const loaded = await start(demoSource(cache.url), "1Gi");
    const client = clientOf(loaded);
    // Connections as an API server has them, open already.
    await Promise.all(Array.from({ length: 500 }, async () => client.review(reviewOf(podWith({})))));
    cache.stall();
    const timeout = 6;
    for (const { response, took } of await review(client, [nginx, mixed, python], 500, timeout)) {
      expect(response).toMatchObject({ allowed: false, status: { code: 504, reason: "Timeout" } });
      expect(response.status?.message).toContain("try again [RESOLVE_TIMEOUT");
      expect(took).toBeLessThan(timeout);
    }
    expect(await loaded.service.metric("admissions_in_flight")).toBe(0);
    cache.wake();
    await until(async () => (await client.review(reviewOf(podWith({ "nix.closure": nginx })))).allowed);
  },
);
