import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";

import { expect, it } from "vitest";

import { parseBaseName, type StorePath } from "../../src/nix/store-path.ts";
import { demoKey } from "../nix/demo-cache.ts";
import { demoDirectory, temporaryDirectory } from "../resolver/fixture.ts";
import { runChild, startChild } from "./child.ts";
import { imagesOf, pathImage, pull, resolverFor, storeImage } from "./images-fixture.ts";
import { checkBlobs } from "./store-fixture.ts";

const cache = pathToFileURL(demoDirectory).href;
const demo = { main: { caches: [cache], publicKeys: [demoKey] } };
const roots = [
  "4vlwxs24hwlvm23q063xvdmkzvlxjw1s-hello-app",
  "qk79bwpv0lwx4gm27p3h754sl2n6rsh7-mixed-app-1.0",
].map(parseBaseName);

/** The base image, path images of the directories of closures, and their store images. */
async function imagesOfClosures(of: readonly StorePath[]): Promise<readonly (readonly [string, string])[]> {
  const resolver = resolverFor(demo);
  const images: (readonly [string, string])[] = [["base", "1"]];
  for (const root of of) {
    const closure = await resolver.resolve("main", [root]);
    const types = await resolver.pathTypes("main", [...closure.byPath.keys()]);
    for (const [path, type] of types) if (type === "directory") images.push(pathImage(path));
    for (const decision of ["n", "a"]) images.push(storeImage(closure, decision));
  }
  return images;
}

it("two processes make the same digests, one with programs, one with libraries, in any order", async () => {
  const images = await imagesOfClosures(roots);
  const work = { cache, publicKey: demoKey, maxBytes: 2 ** 30 };
  const [forwards, backwards] = await Promise.all([
    runChild({ ...work, images, useLibraries: false, directory: join(await temporaryDirectory(), "a") }),
    runChild({
      ...work,
      images: images.toReversed(),
      useLibraries: true,
      directory: join(await temporaryDirectory(), "b"),
    }),
  ]);
  expect(forwards.digests).toHaveLength(images.length);
  expect(backwards.digests.toReversed()).toEqual(forwards.digests);
  expect(backwards.layers.toReversed()).toEqual(forwards.layers);
});

it("a process that is killed at any moment leaves nothing wrong", async () => {
  const images = await imagesOfClosures(roots.slice(0, 1));
  const reference = new Map<string, string>();
  const { images: unharmed } = await imagesOf(resolverFor(demo));
  for (const image of images) reference.set(image.join(":"), (await pull(unharmed, image)).layerDigest);

  const directory = join(await temporaryDirectory(), "store");
  // Smaller than all of them, so that there is always something to make and something to evict.
  const maxBytes = 25_000_000;
  const rounds = 12;
  let unfinished = 0;
  let longest = 400;
  // On until a moment was one of those that matter.
  for (let round = 0; round < rounds || unfinished === 0; round++) {
    const child = await startChild({
      cache,
      publicKey: demoKey,
      directory,
      maxBytes,
      images,
      useLibraries: round % 2 === 0,
      mode: "forever",
    });
    // It does not wait for anything: the moment is what is tested.
    await delay(Math.random() * longest);
    child.kill("SIGKILL");
    await once(child, "exit");

    expect(await checkBlobs(directory)).toBeLessThan(images.length);
    unfinished += (await readdir(join(directory, "temporary"))).length;
    // A slow machine has not begun by then.
    if (unfinished === 0) longest *= 1.3;
    if (round % 6 !== 5) continue;
    const { images: reopened, observer } = await imagesOf(resolverFor(demo), { directory, maxBytes });
    expect(await readdir(join(directory, "temporary"))).toEqual([]);
    expect(observer.size.bytes).toBeLessThanOrEqual(maxBytes);
    for (const image of images) {
      expect((await pull(reopened, image)).layerDigest).toBe(reference.get(image.join(":")));
    }
    await reopened.close();
  }
});
