import { expect, it } from "vitest";

import { storeHash, type StorePath } from "../../src/nix/store-path.ts";
import { directory } from "../nix/nar-samples.ts";
import { writeNar } from "../nix/nar-writer.ts";
import { CacheServer } from "../resolver/cache-server.ts";
import { cacheFiles, type FakePath, pathOf } from "../resolver/fake-store.ts";
import { until } from "../resolver/fixture.ts";
import { imagesOf, pull, resolverFor, storeImage } from "./images-fixture.ts";

const narFile = (path: StorePath): string => `nar/${storeHash(path)}.nar`;

/** Paths in the order of a layer; the first one needs all others. */
function closureOf(sizes: readonly number[]): readonly (readonly [StorePath, FakePath])[] {
  const paths = sizes.map((_, index) => pathOf(`path-${index}`)).toSorted();
  return paths.map((path, index) => [
    path,
    {
      nar: writeNar(directory({ content: { type: "regular", contents: Buffer.alloc(sizes[index]!, path) } })),
      references: index === 0 ? paths.slice(1) : [],
    },
  ]);
}

it("a layer's next NARs are asked for before the first is there", async () => {
  const closure = closureOf(Array.from({ length: 30 }, () => 100));
  const server = await CacheServer.start(cacheFiles(closure));
  const resolver = resolverFor({ main: [server.url] });
  const { images } = await imagesOf(resolver);
  const first = Promise.withResolvers<void>();
  const [[root, { nar }]] = closure as [readonly [StorePath, FakePath]];
  server.answer(narFile(root), (response) => void first.promise.then(() => response.end(nar)));
  const pulled = pull(images, storeImage(await resolver.resolve("main", [root]), "n"));
  const asked = (): number => server.paths.filter((path) => path.startsWith("nar/")).length;
  await until(() => asked() >= 6);
  expect(asked()).toBeLessThanOrEqual(17);
  first.resolve();
  expect((await pulled).layer.length).toBeGreaterThan(30 * 1536);
  expect(asked()).toBe(30);
});

it("a NAR that nobody reads yet may wait, one that stalls meanwhile comes from the next cache", async () => {
  const closure = closureOf([100, 8 * 2 ** 20, 1000]);
  const files = cacheFiles(closure);
  const [first, second] = [await CacheServer.start(files), await CacheServer.start(files)];
  const resolver = resolverFor({ main: [first.url, second.url] });
  const narLimits = { connect: 60_000, headers: 60_000, stall: 300, patience: 60_000 };
  const { images } = await imagesOf(resolver, { narLimits });
  const [now, unread, stalled] = closure.map(([path]) => path) as [StorePath, StorePath, StorePath];
  const over = Promise.withResolvers<void>();
  first.answer(narFile(now), (response) => {
    void over.promise.then(() => response.end(files.get(narFile(now))));
  });
  first.answer(narFile(stalled), (response) => {
    response.writeHead(200, { "content-length": "1000000" }).write("some bytes");
    response.once("close", () => over.resolve());
  });
  const pulled = pull(images, storeImage(await resolver.resolve("main", [now]), "n"));
  // The other one was open before, and is read only when it has waited for longer than a stall may take.
  expect((await pulled).layer.length).toBeGreaterThan(8 * 2 ** 20);
  const fromSecond = second.paths.filter((path) => path.startsWith("nar/"));
  expect(fromSecond).toEqual([narFile(stalled)]);
  expect(first.paths.filter((path) => path === narFile(unread))).toHaveLength(1);
});
