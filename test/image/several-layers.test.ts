/** Store images whose content is more than one layer: many megabytes, which compress to nothing. */
import { rm } from "node:fs/promises";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { baseName } from "../../src/nix/store-path.ts";
import { digestHex } from "../../src/oci/digest.ts";
import { CacheServer, withStatus } from "../resolver/cache-server.ts";
import { failureOf, until } from "../resolver/fixture.ts";
import { below, unpackLayer, unpackNar } from "./files.ts";
import { imagesOf, listOf, pull, resolverFor, storeImage, type TestImages } from "./images-fixture.ts";
import { closures, common, files, narFile, narOf, size } from "./large-content.ts";
import { checkBlobs, filesIn } from "./store-fixture.ts";

/** A cache, images of it, and the store images of both closures, in which the roots have volumes of their own. */
async function twoVersions(options: Parameters<typeof imagesOf>[1] = {}) {
  const server = await CacheServer.start(files);
  const made = await imagesOf(resolverFor({ main: [server.url] }), options);
  return { ...made, server, apps: await appsOf(made) };
}

async function appsOf({ resolver }: TestImages) {
  const apps = closures.map(async ([root]) => {
    const closure = await resolver.resolve("main", [root]);
    return storeImage(closure, `o${listOf(closure, (path) => path === root)}`);
  });
  return (await Promise.all(apps)) as [ReturnType<typeof storeImage>, ReturnType<typeof storeImage>];
}

describe("large content", () => {
  it("is in several layers what it would be in one, in the same bytes whoever makes them", async () => {
    const one = await twoVersions();
    const { layers, index, config } = await pull(one.images, one.apps[0]);
    const entries = layers.map(({ bytes }) => unpackLayer(bytes));
    const content = closures[0][1].toSorted().map((path) => below(baseName(path), unpackNar(narOf(path))));
    expect(entries.slice(0, -1).flat()).toEqual(content.flat());
    expect(entries.map((layer) => layer.length)).toEqual([6, 6, 6, 6, 1]);
    expect(config.rootfs.diff_ids).toEqual(layers.map(({ digest }) => digest));
    expect(one.observer.conversions).toHaveLength(4);

    const other = await twoVersions({ workers: 1 });
    expect((await pull(other.images, other.apps[0])).index).toEqual(index);
  });

  it("that differs in one path shares all layers but one, also when both are asked for at once", async () => {
    const { images, apps, observer } = await twoVersions();
    const [one, two] = await Promise.all([pull(images, apps[0]), pull(images, apps[1])]);
    const differs = one.layers.map(({ digest }, layer) => digest !== two.layers[layer]!.digest);
    // The last one has the roots' mount points.
    expect(differs).toEqual([false, false, true, false, true]);
    expect(observer.conversions.map(({ outcome }) => outcome)).toEqual(Array(5).fill("ok"));
    expect(observer.size.blobs).toBe(5);
  });

  it("is made by all threads, each layer by one", async () => {
    for (const workers of [1, 2]) {
      const { images, apps, server, observer } = await twoVersions({ workers });
      const held = Promise.withResolvers<void>();
      const inLayers = common.map(([path]) => path!);
      for (const path of inLayers)
        server.answer(narFile(path), (response) => {
          void held.promise.then(() => response.end(files.get(narFile(path))));
        });
      const pulled = pull(images, apps[0]);
      const begun = (): number => inLayers.filter((path) => server.paths.includes(narFile(path))).length;
      await until(() => begun() === workers);
      held.resolve();
      await pulled;
      expect(observer.conversions).toHaveLength(4);
    }
  });
});

describe("a layer that fails", () => {
  it("ends the others, and leaves nothing behind", async () => {
    const { images, apps, server, observer, directory: place } = await twoVersions();
    const [gone, endless] = [common[0]![0]!, common[1]![0]!];
    // A conversion that would go on as long as the cache does.
    server.answer(
      narFile(endless),
      (response) => void response.write(files.get(narFile(endless))!.subarray(0, 9)),
    );
    server.answer(narFile(gone), (response) => {
      void until(() => server.paths.includes(narFile(endless))).then(() =>
        withStatus(404)(response, response.req),
      );
    });
    expect((await failureOf(images.resolveTag(...apps[0]))).code).toBe("NAR_MISSING");
    expect(await filesIn(place)).toEqual([]);
    expect(observer.size).toEqual({ bytes: 0, blobs: 0 });
    for (const path of [gone, endless])
      server.answer(narFile(path), (response) => response.end(files.get(narFile(path))));
    await pull(images, apps[0]);
  });

  it("because it is damaged or gone is made again alone", async () => {
    const { images, apps, resolver, observer, directory: place } = await twoVersions();
    const before = await pull(images, apps[0]);
    const blob = join(place, "blobs", "sha256", digestHex(before.layers[1]!.digest));
    await rm(blob);
    expect(await images.blob(apps[0][0], before.layers[1]!.digest)).toBeUndefined();
    expect(await images.document(apps[0][0], before.index.digest)).toBeUndefined();
    expect(await images.blob(apps[0][0], before.layers[0]!.digest)).toBeUndefined();
    expect((await pull(images, apps[0])).index).toEqual(before.index);
    expect(observer.conversions).toHaveLength(5);
    await images.close();

    const again = await imagesOf(resolver, { directory: place });
    expect((await pull(again.images, apps[0])).index).toEqual(before.index);
    expect(again.observer.conversions).toEqual([]);
    await again.images.close();
    // A record without one of its blobs is none, and nothing says what the others are.
    await rm(blob);
    const third = await imagesOf(resolver, { directory: place });
    expect(await filesIn(place)).toEqual([]);
    await third.images.close();
  });
});

describe("a store", () => {
  it("that is too small for all layers together refuses them before it makes any", async () => {
    const { images, apps, server } = await twoVersions({ maxBytes: 10 * size });
    const before = server.paths.length;
    expect((await failureOf(images.resolveTag(...apps[0]))).code).toBe("BLOB_BUDGET_EXHAUSTED");
    expect(server.paths.slice(before).filter((path) => path.startsWith("nar/"))).toEqual([]);
  });

  it("with room for one of two images has both pulled, one after the other", async () => {
    const { images, apps, observer, directory: place } = await twoVersions({ maxBytes: 12.5 * size });
    const [one, two] = await Promise.all([pull(images, apps[0]), pull(images, apps[1])]);
    expect(one.layers).toHaveLength(5);
    expect(two.layers).toHaveLength(5);
    expect(observer.size.bytes).toBeLessThanOrEqual(12.5 * size);
    expect(await checkBlobs(place)).toBe(observer.size.blobs);
  });
});
