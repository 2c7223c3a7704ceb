import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import type { PathType } from "../../src/nix/closure.ts";
import { parseBaseName, storeHash, type StorePath } from "../../src/nix/store-path.ts";
import type { Resolver } from "../../src/resolver/resolver.ts";
import { demoKey } from "../nix/demo-cache.ts";
import { CacheServer } from "./cache-server.ts";
import { demoDirectory, demoWithoutListings, resolverOf } from "./fixture.ts";

const roots = [
  {
    root: "4vlwxs24hwlvm23q063xvdmkzvlxjw1s-hello-app",
    paths: 5,
    narSize: 21004592,
    types: { directory: 5 },
  },
  {
    root: "q0ningk88png4ipb9hm8ja6av167wdzk-nginx-app-1.0",
    paths: 14,
    narSize: 32426264,
    types: { directory: 14 },
  },
  {
    root: "2xm8zk49wy4fsqr9jhsi4wdxwdlc308i-python3-defaults-3.11.2-1+b1",
    paths: 20,
    narSize: 47862576,
    types: { directory: 20 },
  },
  {
    root: "qk79bwpv0lwx4gm27p3h754sl2n6rsh7-mixed-app-1.0",
    paths: 8,
    narSize: 21005464,
    types: { directory: 5, regular: 2, symlink: 1 },
  },
];

const places: readonly { readonly place: string; readonly url: () => Promise<string> }[] = [
  { place: "a directory", url: async () => pathToFileURL(demoDirectory).href },
  { place: "HTTP", url: async () => (await demoServer(demoDirectory)).url },
  { place: "a directory without listings", url: async () => pathToFileURL(await demoWithoutListings()).href },
  {
    place: "HTTP without listings",
    url: async () => (await demoServer(demoDirectory, (name) => !name.endsWith(".ls"))).url,
  },
];

describe.for(places)("from $place", ({ url }) => {
  test("all roots have their closures, with the types of all paths", async () => {
    const resolver = resolverOf(await url(), { publicKeys: [demoKey] });
    for (const { root, paths, narSize, types } of roots) {
      const path = parseBaseName(root);
      const closure = await resolver.resolve("main", [path]);
      expect(closure.roots).toEqual([path]);
      expect(closure.paths).toHaveLength(paths);
      expect(closure.narSize).toBe(narSize);
      expect([...closure.byPath.keys()]).toEqual(closure.paths.map((info) => info.storePath));
      expect(count(await typesOf(resolver, [...closure.byPath.keys()]))).toEqual(types);
      const byHash = await resolver.resolveHashes("main", [storeHash(path)]);
      expect(byHash).toEqual(closure);
    }
  });
});

test("the closure of several roots is their union, closed and sorted", async () => {
  const resolver = resolverOf(pathToFileURL(demoDirectory).href, { publicKeys: [demoKey] });
  const asked = roots.map(({ root }) => parseBaseName(root));
  const closure = await resolver.resolve("main", [...asked, ...asked]);
  expect(closure.roots).toEqual(asked);
  expect(closure.paths).toHaveLength(39);
  expect(closure.paths.map((info) => info.storePath)).toEqual([...closure.byPath.keys()].sort());
  for (const { references } of closure.paths) {
    for (const reference of references) expect(closure.byPath.has(reference)).toBe(true);
  }
});

test("a second question costs no request", async () => {
  const server = await demoServer(demoDirectory);
  const resolver = resolverOf(server.url, { publicKeys: [demoKey] });
  const root = parseBaseName("2xm8zk49wy4fsqr9jhsi4wdxwdlc308i-python3-defaults-3.11.2-1+b1");
  const closure = await resolver.resolve("main", [root]);
  expect(server.paths).toHaveLength(21);
  expect(server.paths[0]).toBe("nix-cache-info");
  await typesOf(resolver, [...closure.byPath.keys()]);
  const asked = server.paths.length;
  expect(await resolver.resolve("main", [root])).toBe(closure);
  await typesOf(resolver, [...closure.byPath.keys()]);
  await resolver.lookup("main", storeHash(root));
  expect(server.paths).toHaveLength(asked);
});

async function demoServer(
  directory: string,
  filter: (name: string) => boolean = () => true,
): Promise<CacheServer> {
  const names = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1));
  return CacheServer.start(
    new Map(names.filter(filter).map((name) => [name, readFileSync(join(directory, name))])),
  );
}

async function typesOf(
  resolver: Resolver,
  paths: readonly StorePath[],
): Promise<ReadonlyMap<StorePath, PathType>> {
  const types = await resolver.pathTypes("main", paths);
  expect([...types.keys()]).toEqual(paths);
  return types;
}

function count(types: ReadonlyMap<StorePath, PathType>): Partial<Record<PathType, number>> {
  const counts: Partial<Record<PathType, number>> = {};
  for (const type of types.values()) counts[type] = (counts[type] ?? 0) + 1;
  return counts;
}
