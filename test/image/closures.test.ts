import { pathToFileURL } from "node:url";

import { expect, it } from "vitest";

import { parseBaseName, baseName, type StorePath } from "../../src/nix/store-path.ts";
import { demoKey, readDemoNar } from "../nix/demo-cache.ts";
import { demoDirectory } from "../resolver/fixture.ts";
import { below, belowRoot, type FileEntry, unpackLayer, unpackNar } from "./files.ts";
import { imagesOf, listOf, pathImage, pull, resolverFor, storeImage } from "./images-fixture.ts";
import { checkBlobs } from "./store-fixture.ts";

const demo = { caches: [pathToFileURL(demoDirectory).href], publicKeys: [demoKey] };
const roots = [
  "4vlwxs24hwlvm23q063xvdmkzvlxjw1s-hello-app",
  "q0ningk88png4ipb9hm8ja6av167wdzk-nginx-app-1.0",
  "2xm8zk49wy4fsqr9jhsi4wdxwdlc308i-python3-defaults-3.11.2-1+b1",
  "qk79bwpv0lwx4gm27p3h754sl2n6rsh7-mixed-app-1.0",
].map(parseBaseName);

it.each(roots)("%s: every directory of its closure is a path image with its files", async (root) => {
  const { images, resolver, directory } = await imagesOf(resolverFor({ main: demo }));
  const closure = await resolver.resolve("main", [root]);
  const types = await resolver.pathTypes("main", [...closure.byPath.keys()]);
  const directories = closure.paths.filter(({ storePath }) => types.get(storePath) === "directory");
  const pulled = await Promise.all(
    directories.map(async ({ storePath }) => pull(images, pathImage(storePath))),
  );
  for (const [number, info] of directories.entries()) {
    const { layer, config } = pulled[number]!;
    expect(unpackLayer(layer), info.storePath).toEqual(belowRoot(unpackNar(readDemoNar(info))));
    expect(config.config.Labels).toEqual({ "org.nix-closure.store-path": info.storePath });
  }
  expect(await checkBlobs(directory)).toBe(directories.length);

  for (const { storePath } of closure.paths) {
    if (types.get(storePath) === "directory") continue;
    await expect(images.resolveTag(...pathImage(storePath))).rejects.toMatchObject({
      code: "NOT_A_DIRECTORY",
    });
  }
});

it.each(roots)("%s: its store images hold what every decision says", async (root) => {
  const { images, resolver, observer } = await imagesOf(resolverFor({ main: demo }));
  const closure = await resolver.resolve("main", [root]);
  const types = await resolver.pathTypes("main", [...closure.byPath.keys()]);
  const isDirectory = (path: StorePath): boolean => types.get(path) === "directory";
  const some = (path: StorePath): boolean => isDirectory(path) && storePathIsOdd(path);

  const decisions: readonly [string, (path: StorePath) => boolean][] = [
    ["n", () => false],
    ["a", isDirectory],
    [`o${listOf(closure, (path) => path === root)}`, (path) => path === root],
    [`p${listOf(closure, some)}`, (path) => isDirectory(path) && !some(path)],
  ];
  for (const [decision, isOwn] of decisions) {
    if (decision === "p") continue;
    const { layers, config } = await pull(images, storeImage(closure, decision));
    const content = closure.paths
      .filter(({ storePath }) => !isOwn(storePath))
      .flatMap((info) => below(baseName(info.storePath), unpackNar(readDemoNar(info))));
    const mounted = closure.paths
      .filter(({ storePath }) => isOwn(storePath))
      .map(({ storePath }) => emptyDirectory(baseName(storePath)));
    const entries = layers.map(({ bytes }) => unpackLayer(bytes));
    expect(mounted.length === 0 ? [] : entries.pop(), decision).toEqual(mounted);
    expect(entries.flat(), decision).toEqual(content);
    expect(config.rootfs.diff_ids).toEqual(layers.map(({ digest }) => digest));
    expect(config.history).toHaveLength(layers.length);
    expect(config.config.Labels).toEqual({
      "org.nix-closure.roots": root,
      "org.nix-closure.decision": decision,
    });
  }
  const count = observer.conversions.length;
  // What was decided in other words has the same layers.
  const sameAsAll = `o${listOf(closure, isDirectory)}`;
  const [all, listed] = [
    await pull(images, storeImage(closure, "a")),
    await pull(images, storeImage(closure, sameAsAll)),
  ];
  expect(listed.layers).toEqual(all.layers);
  expect(listed.index.digest).not.toBe(all.index.digest);
  expect(observer.conversions).toHaveLength(count);
});

it("the closure of several roots is one store image", async () => {
  const { images, resolver } = await imagesOf(resolverFor({ main: demo }));
  const closure = await resolver.resolve("main", [roots[0]!, roots[3]!]);
  const { layer, config } = await pull(images, storeImage(closure, "n"));
  const expected = closure.paths.flatMap((info) =>
    below(baseName(info.storePath), unpackNar(readDemoNar(info))),
  );
  expect(unpackLayer(layer)).toEqual(expected);
  const label = config.config.Labels["org.nix-closure.roots"];
  expect(label?.split(" ")).toEqual([roots[0], roots[3]]);
});

function emptyDirectory(path: string): FileEntry {
  return { path, type: "directory", mode: 0o555, content: "" };
}

function storePathIsOdd(path: StorePath): boolean {
  return path.charCodeAt("/nix/store/".length) % 2 === 1;
}
