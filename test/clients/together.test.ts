/** Several clients at once, and what happens to a pull when something goes wrong in its middle. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { DemoCacheServer, demoKey, demoUrl, hello, until } from "../service/demo-cache.ts";
import type { Client } from "./clients.ts";
import { imagesOf, type PlannedImage } from "./closures.ts";
import { allClients, expectTree, scratchDirectory, suite } from "./fixture.ts";
import { Gate, type SeenRequest } from "./gate.ts";
import { type Registry, startRegistry } from "./registry.ts";

const clients = await allClients("together");
/** The image of bash, of some megabytes: more than fits into the buffers between registry and client. */
let bash: PlannedImage & { readonly kind: "path" };

beforeAll(() => {
  const images = imagesOf(suite.pods.filter(({ storePaths }) => storePaths.includes(hello)));
  const found = images.find((image) => image.kind === "path" && image.storePath.endsWith("-bash-5.2.15"));
  if (found?.kind !== "path") throw new Error("the closure of hello has no bash");
  bash = found;
});

/** A registry of this test alone, which has made no image yet, and the gate before it. */
async function newRegistry(cache = demoUrl): Promise<{ registry: Registry; gate: Gate; directory: string }> {
  const directory = await scratchDirectory();
  const registry = await startRegistry(join(directory, "registry"), {
    demo: { caches: [cache], publicKeys: [demoKey] },
  });
  onTestFinished(() => registry[Symbol.asyncDispose]());
  const gate = await Gate.start(registry.host);
  onTestFinished(() => gate[Symbol.asyncDispose]());
  return { registry, gate, directory };
}

/** The same image by way of another host. */
const from = (host: string): string => bash.reference.replace(suite.host, host);
const [manifests, blobs] = ["manifests", "blobs"].map(
  (noun) =>
    ({ url }: SeenRequest) =>
      url.includes(`/${noun}/`),
) as [(request: SeenRequest) => boolean, (request: SeenRequest) => boolean];

/** The digest of the layer. */
async function layerDigest(host: string): Promise<string> {
  const url = `http://${host}/v2/${bash.reference
    .split("/")
    .slice(1)
    .join("/")
    .replace(/:[^:]*$/, "")}`;
  const index = (await (await fetch(`${url}/manifests/1`)).json()) as { manifests: { digest: string }[] };
  const manifest = (await (await fetch(`${url}/manifests/${index.manifests[0]!.digest}`)).json()) as {
    layers: { digest: string }[];
  };
  return manifest.layers[0]!.digest;
}

test.for(clients)(
  "while $name is in the middle of a layer, the others pull the same image",
  async (client) => {
    const { gate, directory } = await newRegistry();
    const layer = await layerDigest(gate.host);
    const others = clients.filter((other) => other !== client);
    let othersAreDone = false;
    const reached = new Promise<void>((resolve) => {
      gate.intervene({
        matches: ({ method, url }) => method === "GET" && url.endsWith(layer),
        midway: async () => {
          resolve();
          await until(() => othersAreDone);
        },
      });
    });
    const held = client.pull(from(gate.host), join(directory, "held"));
    try {
      await Promise.race([reached, held]);
      for (const other of others) {
        expectTree(await other.pull(from(gate.host), join(directory, other.name)), bash);
      }
    } finally {
      othersAreDone = true;
    }
    expectTree(await held, bash);
  },
);

test("clients that ask for an image that is still being made all get it, and it is made once", async () => {
  await using cache = await DemoCacheServer.start();
  const { gate, directory } = await newRegistry(cache.url);
  cache.stall();
  const pulls = clients.map((client) => client.pull(from(gate.host), join(directory, client.name)));
  await until(() => gate.requests.filter(manifests).length === clients.length);
  expect(gate.requests.filter(blobs)).toEqual([]);
  cache.wake();
  for (const pulled of await Promise.all(pulls)) expectTree(pulled, bash);
  // What is read ahead beside it is made once too, and its first bytes are looked at before that.
  const nars = Map.groupBy(cache.requests, (name) => name);
  for (const [name, asked] of nars) if (name.startsWith("nar/")) expect(asked.length, name).toBeLessThan(3);
});

test.for(clients)(
  "$name fails when a layer is lost between tag and blob, and succeeds by tag again",
  async (client) => {
    const { registry, gate, directory } = await newRegistry();
    const layer = await layerDigest(registry.host);
    let isLost = false;
    gate.intervene({
      matches: ({ method, url }) => method === "GET" && url.endsWith(layer),
      before: async () => {
        await rm(join(registry.blobs, "blobs", "sha256", layer.replace("sha256:", "")));
        isLost = true;
      },
    });
    await expect(client.pull(from(gate.host), join(directory, "first"))).rejects.toThrow(messageOf(client));
    expect(isLost).toBe(true);
    expectTree(await client.pull(from(gate.host), join(directory, "second")), bash);
  },
);

/** What each client makes of 404 for a blob. */
function messageOf({ name }: Client): RegExp {
  return name === "oras" ? /not found/ : /blob is not here|BLOB_UNKNOWN|404/;
}
