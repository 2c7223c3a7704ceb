/** The two layers of store images: the content, which closures have in common, and the mount points above it. */
import { truncate } from "node:fs/promises";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { recordId } from "../../src/image/image-record.ts";
import { mountPoints } from "../../src/image/mount-points.ts";
import type { Closure } from "../../src/nix/closure.ts";
import { baseName, type StorePath } from "../../src/nix/store-path.ts";
import { digestHex, sha256Digest } from "../../src/oci/digest.ts";
import { mediaTypes } from "../../src/oci/documents.ts";
import { directory } from "../nix/nar-samples.ts";
import { writeNar } from "../nix/nar-writer.ts";
import { cacheFiles, type FakePath, pathOf } from "../resolver/fake-store.ts";
import { temporaryDirectory } from "../resolver/fixture.ts";
import { below, unpackLayer, unpackNar } from "./files.ts";
import {
  cacheDirectory,
  imagesOf,
  listOf,
  pathImage,
  pull,
  read,
  resolverFor,
  storeImage,
  type TestImages,
} from "./images-fixture.ts";
import { bytesOf, filesIn, openStore, publishLayers, readAll, recordOf } from "./store-fixture.ts";

/** A directory with a file of so many bytes. */
const narOf = (name: string, bytes = 1000): Buffer =>
  writeNar(directory({ [name]: { type: "regular", contents: bytesOf(name, bytes) } }));

const [first, second, library, large] = ["first", "second", "library", "large"].map(pathOf) as [
  StorePath,
  StorePath,
  StorePath,
  StorePath,
];
/** Two roots over the same library, and a path that has nothing to do with them. */
const paths: readonly (readonly [StorePath, FakePath])[] = [
  [first, { nar: narOf("first"), references: [library] }],
  [second, { nar: narOf("second"), references: [library] }],
  [library, { nar: narOf("library", 20_000) }],
  [large, { nar: narOf("large", 40_000) }],
];
const libraryFiles = below(baseName(library), unpackNar(narOf("library", 20_000)));
const emptyDirectory = (path: StorePath) => ({
  path: baseName(path),
  type: "directory",
  mode: 0o555,
  content: "",
});

type StoreImage = ReturnType<typeof storeImage>;

interface TestApps extends TestImages {
  readonly cache: string;
  /** The store images of both roots, each root with a volume of its own. */
  readonly apps: readonly [StoreImage, StoreImage];
  readonly closures: readonly [Closure, Closure];
}

async function twoApps(options: Parameters<typeof imagesOf>[1] = {}): Promise<TestApps> {
  const cache = await cacheDirectory(cacheFiles(paths));
  const made = await imagesOf(resolverFor({ main: [cache] }), options);
  const closures = [
    await made.resolver.resolve("main", [first]),
    await made.resolver.resolve("main", [second]),
  ] as const;
  const [one, two] = closures;
  return { ...made, cache, closures, apps: [rootApart(one), rootApart(two)] };
}

/** The store image of a closure in which the root alone has a volume of its own. */
function rootApart(closure: Closure): StoreImage {
  return storeImage(closure, `o${listOf(closure, (path) => closure.roots.includes(path))}`);
}

const contentFile = (place: string, digest: string): string =>
  join(place, "blobs", "sha256", digest.replace("sha256:", ""));

describe("two closures that differ in their roots alone", () => {
  it("share the layer with the content, and each has its own mount point", async () => {
    const { images, apps, observer, directory: place } = await twoApps();
    const [one, two] = [await pull(images, apps[0]), await pull(images, apps[1])];
    expect(one.layers.map(({ bytes }) => unpackLayer(bytes))).toEqual([
      libraryFiles,
      [emptyDirectory(first)],
    ]);
    expect(two.layers.map(({ bytes }) => unpackLayer(bytes))).toEqual([
      libraryFiles,
      [emptyDirectory(second)],
    ]);
    expect(two.layers[0]).toEqual(one.layers[0]);
    expect(two.layers[1]!.digest).not.toBe(one.layers[1]!.digest);
    expect(observer.conversions).toHaveLength(1);
    // The mount points are no blobs.
    expect(observer.size).toEqual({ bytes: one.layer.length, blobs: 1 });
    expect((await filesIn(place)).filter((file) => file.startsWith("blobs"))).toHaveLength(1);
  });

  it("share one conversion also when they are asked for at once", async () => {
    const { images, apps, observer } = await twoApps();
    const [one, two] = await Promise.all(apps.map(async (app) => pull(images, app)));
    expect(two!.layers[0]).toEqual(one!.layers[0]);
    expect(observer.conversions).toHaveLength(1);
  });

  it("share it with the closure that is all of the content", async () => {
    const { images, apps, observer, resolver } = await twoApps();
    const whole = await pull(images, storeImage(await resolver.resolve("main", [library]), "n"));
    expect(whole.layers).toHaveLength(1);
    expect((await pull(images, apps[0])).layers[0]).toEqual(whole.layers[0]);
    expect(observer.conversions).toHaveLength(1);
  });
});

it("the layer of mount points has the bytes that it had when its version came", () => {
  const names = [first, library].map(baseName);
  // By its digest, for it must not change but with the version of the conversion.
  expect(mountPoints(names)).toEqual({
    names,
    size: 2048,
    digest: "sha256:0f1fea870ba8178ca592f53776e4784d98b6e628e59730cda136a4ef4126533e",
  });
});

describe("a layer of mount points", () => {
  it("is served in its own repository alone, whole and in parts", async () => {
    const { images, apps } = await twoApps();
    const [one, two] = [await pull(images, apps[0]), await pull(images, apps[1])];
    const { digest, bytes } = one.layers[1]!;
    expect(sha256Digest(bytes)).toBe(digest);
    expect(await images.blob(apps[1][0], digest)).toBeUndefined();
    expect(await images.blob(apps[0][0], two.layers[1]!.digest)).toBeUndefined();
    expect(await images.blob(pathImage(first)[0], digest)).toBeUndefined();
    expect(await images.document(apps[0][0], digest)).toBeUndefined();
    const blob = await images.blob(apps[0][0], digest);
    expect(blob).toMatchObject({ size: bytes.length, mediaType: mediaTypes.layerTar });
    expect(await readAll(blob!, { start: 3, end: 600 })).toEqual(bytes.subarray(3, 601));
    await blob!.close();
  });

  it("is there for a client that comes for it last, when the content has given way already", async () => {
    const { images, apps, observer } = await twoApps({ maxBytes: 50_000 });
    const [repository] = apps[0];
    const { index, layers } = await pull(images, apps[0]);
    await pull(images, pathImage(large));
    expect(observer.evicted).toHaveLength(1);
    expect(await images.document(repository, index.digest)).toBeUndefined();
    expect(await images.blob(repository, layers[0]!.digest)).toBeUndefined();
    expect(await read(images, repository, layers[1]!.digest)).toEqual(layers[1]!.bytes);
    // It is another image's no more than before.
    expect(await images.blob(apps[1][0], layers[1]!.digest)).toBeUndefined();
    expect(await pull(images, apps[0])).toMatchObject({ index, layers });
  });
});

it("an image whose content is damaged or gone is not served, and is made again for all who share it", async () => {
  const { images, apps, observer, directory: place } = await twoApps();
  const before = await Promise.all(apps.map(async (app) => pull(images, app)));
  const [content] = before[0]!.layers;
  await truncate(contentFile(place, content!.digest), 100);
  expect(await images.blob(apps[0][0], content!.digest)).toBeUndefined();
  for (const [number, [repository]] of apps.entries())
    expect(await images.document(repository, before[number]!.index.digest)).toBeUndefined();
  expect(await Promise.all(apps.map(async (app) => pull(images, app)))).toEqual(before);
  expect(observer.conversions).toHaveLength(2);
});

it("after a restart both layers are served as before, without a conversion", async () => {
  const { images, apps, resolver, directory: place } = await twoApps();
  const before = await pull(images, apps[0]);
  await images.close();
  const again = await imagesOf(resolver, { directory: place });
  const [repository] = apps[0];
  for (const { digest, bytes } of before.layers)
    expect(await read(again.images, repository, digest)).toEqual(bytes);
  expect(await again.images.document(repository, before.index.digest)).toEqual(before.index);
  // The other app, too: the content is found by what it is made from.
  expect((await pull(again.images, apps[1])).layers[0]).toEqual(before.layers[0]);
  expect(again.observer.conversions).toEqual([]);
});

it("what a store has from before there were two layers is served until its tag is asked for, and then is gone", async () => {
  const place = join(await temporaryDirectory(), "store");
  const { apps, resolver } = await twoApps();
  const [repository, tag] = apps[0];
  const old = await openStore(place);
  const name = "mount points and content in one layer";
  const [layer] = await publishLayers(old, [name], 5000);
  await old.useRecord({ ...recordOf(name, layer!, repository), tag });
  await old.close();

  const { images, observer } = await imagesOf(resolver, { directory: place });
  expect(await read(images, repository, layer!.digest)).toEqual(bytesOf(name, 5000));
  const { layers } = await pull(images, apps[0]);
  expect(layers).toHaveLength(2);
  expect(observer.conversions).toHaveLength(1);
  expect(await images.blob(repository, layer!.digest)).toBeUndefined();
  await images.close();
  await imagesOf(resolver, { directory: place });
  expect(await filesIn(place)).toEqual([
    `blobs/sha256/${digestHex(layers[0]!.digest)}`,
    `images/${recordId({ repository, tag })}.json`,
  ]);
});
