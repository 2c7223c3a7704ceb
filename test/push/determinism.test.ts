import { join } from "node:path";

import { expect, test } from "vitest";

import { type LayerCompression } from "../../src/image/layer-compression.ts";
import { makeKeyPair } from "../../src/nix/key-pair.ts";
import { parseSecretKey } from "../../src/nix/secret-key.ts";
import { parseRoot } from "../../src/nix/store-path.ts";
import { openScratch } from "../../src/push/scratch.ts";
import { PushSession } from "../../src/push/session.ts";
import { noCredentials } from "../../src/registry-client/credentials.ts";
import { resolverOf, temporaryDirectory } from "../resolver/fixture.ts";
import { demoKey, DemoCacheServer, demoUrl, mixed, nginx } from "../service/demo-cache.ts";
import { MemoryRegistry } from "./memory-registry.ts";

const signKey = parseSecretKey(makeKeyPair("shop-1").secretKey);

/** Pushes from a machine that has nothing yet. */
async function pushed(
  cache: string,
  options: { readonly workers: number; readonly compression: LayerCompression },
): Promise<readonly string[]> {
  const registry = await MemoryRegistry.start();
  const base = await temporaryDirectory();
  await using scratch = await openScratch(join(base, `scratch-${options.workers}`));
  await using session = await PushSession.open({
    ...options,
    host: registry.host,
    repository: "nix",
    credentials: noCredentials,
    resolver: resolverOf(cache, { publicKeys: [demoKey] }),
    source: "main",
    remote: false,
    mountFrom: [],
    dryRun: false,
    force: false,
    signKey,
    memoDirectory: join(base, "layers"),
    scratchDirectory: scratch.directory,
    path: process.env["PATH"],
    signal: new AbortController().signal,
    observer: { planned: () => undefined, warn: () => undefined },
  });
  for (const root of [nginx, mixed]) {
    await session.push({
      roots: [parseRoot(root)],
      plans: ["stock", "bundle"],
      maxVolumes: 48,
      system: undefined,
      hiddenKey: undefined,
    });
  }
  expect(registry.broken("nix")).toEqual([]);
  return [...registry.blobs.keys(), ...registry.repository("nix").tags.values()].toSorted();
}

test.for<LayerCompression>(["zstd", "gzip", "none"])(
  "the same closure has the same digests from every machine: %s",
  async (compression) => {
    const first = await pushed(demoUrl, { compression, workers: 1 });
    // Bytes come in other pieces over HTTP.
    await using cache = await DemoCacheServer.start();
    expect(await pushed(cache.url, { compression, workers: 3 })).toEqual(first);
  },
);
