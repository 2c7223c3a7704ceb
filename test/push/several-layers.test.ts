import { join } from "node:path";

import { expect, test } from "vitest";

import { makeKeyPair } from "../../src/nix/key-pair.ts";
import { parseSecretKey } from "../../src/nix/secret-key.ts";
import { openScratch } from "../../src/push/scratch.ts";
import { PushSession } from "../../src/push/session.ts";
import { noCredentials } from "../../src/registry-client/credentials.ts";
import { closures, files } from "../image/large-content.ts";
import { CacheServer } from "../resolver/cache-server.ts";
import { resolverOf, temporaryDirectory } from "../resolver/fixture.ts";
import { MemoryRegistry } from "./memory-registry.ts";

interface Documents {
  readonly manifests: readonly { readonly digest: string }[];
  readonly layers: readonly { readonly digest: string }[];
}

test("two pushed store images that differ in one path of a large content share all layers but one", async () => {
  const registry = await MemoryRegistry.start();
  const cache = await CacheServer.start(files);
  const base = await temporaryDirectory();
  await using scratch = await openScratch(join(base, "scratch"));
  await using session = await PushSession.open({
    host: registry.host,
    repository: "nix",
    credentials: noCredentials,
    resolver: resolverOf(cache.url),
    source: "main",
    remote: false,
    compression: "zstd",
    workers: 2,
    mountFrom: [],
    dryRun: false,
    force: false,
    signKey: parseSecretKey(makeKeyPair("shop-1").secretKey),
    memoDirectory: join(base, "layers"),
    scratchDirectory: scratch.directory,
    path: process.env["PATH"],
    signal: new AbortController().signal,
    observer: { planned: () => undefined, warn: () => undefined },
  });
  const { manifests, tags } = registry.repository("nix");
  const read = (digest: string): Documents => JSON.parse(String(manifests.get(digest)!.bytes)) as Documents;

  const layers: string[][] = [];
  for (const [root] of closures) {
    const { tag } = await session.push({
      roots: [root],
      plans: ["bundle"],
      maxVolumes: 48,
      system: "x86_64-linux",
      hiddenKey: undefined,
    });
    const [storeImage] = read(tags.get(tag)!).manifests;
    layers.push(read(storeImage!.digest).layers.map(({ digest }) => digest));
  }
  const [one = [], other = []] = layers;
  // Four with content, and the mount points.
  expect([one.length, other.length]).toEqual([5, 5]);
  expect(one.filter((digest) => other.includes(digest))).toHaveLength(3);
  expect(registry.broken("nix")).toEqual([]);
});
