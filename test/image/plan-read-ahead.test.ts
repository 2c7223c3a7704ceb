import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { storeHash, type StorePath } from "../../src/nix/store-path.ts";
import { directory } from "../nix/nar-samples.ts";
import { writeNar } from "../nix/nar-writer.ts";
import { CacheServer, withStatus } from "../resolver/cache-server.ts";
import { cacheFiles, type FakePath, pathOf } from "../resolver/fake-store.ts";
import { failureOf, temporaryDirectory, until } from "../resolver/fixture.ts";
import {
  imagesOf,
  listOf,
  pathImage,
  pull,
  resolverFor,
  storeImage,
  type TestImages,
} from "./images-fixture.ts";

const app = pathOf("app");
const libraries = Array.from({ length: 6 }, (_, index) => pathOf(`library-${index}`));
const script = pathOf("script");

const narOf = (path: StorePath, size = 100): Buffer =>
  writeNar(directory({ content: { type: "regular", contents: Buffer.alloc(size, path) } }));

/** The app, which needs all libraries, and a script if there is to be a file. */
function closureFiles(size = 100, withFile = false): readonly (readonly [StorePath, FakePath])[] {
  const needed = [...libraries, ...(withFile ? [script] : [])];
  return [
    [app, { nar: narOf(app, size), references: needed.toSorted() }],
    ...libraries.map((path) => [path, { nar: narOf(path, size) }] as const),
    [script, { nar: writeNar({ type: "regular", contents: Buffer.from("true") }) }],
  ];
}

const narFile = (path: StorePath): string => `nar/${storeHash(path)}.nar`;

/** Images with read-ahead of a closure behind HTTP; files beyond it are at hand as well. */
async function start(
  options: Parameters<typeof imagesOf>[1] & { readonly size?: number; readonly withFile?: boolean } = {},
): Promise<TestImages & { readonly server: CacheServer }> {
  const { size, withFile, ...rest } = options;
  const server = await CacheServer.start(cacheFiles(closureFiles(size, withFile)));
  return { ...(await imagesOf(resolverFor({ main: [server.url] }), { readAhead: true, ...rest })), server };
}

const narRequests = (server: CacheServer): readonly string[] =>
  server.paths.filter((path) => path.startsWith("nar/"));

describe("a store image", () => {
  it("has the path images made that its decision names, and no others", async () => {
    const { images, resolver, observer } = await start();
    const closure = await resolver.resolve("main", [app]);
    const own = new Set([app, libraries[1]!, libraries[4]!]);
    await images.resolveTag(...storeImage(closure, `o${listOf(closure, (path) => own.has(path))}`));
    await until(() => observer.ahead.converted === 3);
    expect(observer.conversions.map(({ kind, outcome }) => `${kind} ${outcome}`).toSorted()).toEqual([
      "path ok",
      "path ok",
      "path ok",
      "store ok",
    ]);
    for (const path of own) await pull(images, pathImage(path));
    expect(observer.conversions).toHaveLength(4);
    expect(observer.ahead).toEqual({ converted: 3, known: 0, failed: 0, dropped: 0 });
  });

  it("of everything has nothing else made", async () => {
    const { images, resolver, observer } = await start();
    const closure = await resolver.resolve("main", [app]);
    await pull(images, storeImage(closure, "n"));
    await images.close();
    expect(observer.conversions.map(({ kind }) => kind)).toEqual(["store"]);
  });
});

describe("a path image", () => {
  it("of a root that has no store image has its whole closure made, each path once", async () => {
    const { images, observer, server } = await start();
    await pull(images, pathImage(app));
    await until(() => observer.ahead.converted === libraries.length);
    for (const path of libraries) await pull(images, pathImage(path));
    expect(observer.conversions).toHaveLength(1 + libraries.length);
    const wholes = new Set(narRequests(server));
    expect(wholes).toEqual(new Set([app, ...libraries].map(narFile)));
  });

  it("is made once if it is asked for while it is read ahead", async () => {
    const { images, observer } = await start();
    const answers = [app, ...libraries].map(async (path) => images.resolveTag(...pathImage(path)));
    await Promise.all(answers);
    await images.close();
    expect(observer.conversions).toHaveLength(1 + libraries.length);
  });

  it("of a root with files, which has a store image, has nothing made", async () => {
    const { images, observer, server } = await start({ withFile: true });
    await pull(images, pathImage(app));
    // The type of the file is what decides it.
    await until(() => server.paths.includes(narFile(script)));
    await pull(images, pathImage(libraries[0]!));
    await images.close();
    expect(observer.conversions).toHaveLength(2);
  });
});

it("a path that fails is told to whoever asks for it, and to nobody else", async () => {
  const { images, observer, server } = await start();
  const broken = libraries[2]!;
  // The listing tells the type, so that the NAR is asked for only when it is converted.
  for (const path of [app, ...libraries]) {
    server.answer(`${storeHash(path)}.ls`, (response) =>
      response.end('{"version":1,"root":{"type":"directory","entries":{}}}'),
    );
  }
  server.answer(narFile(broken), withStatus(404));
  await pull(images, pathImage(app));
  await until(() => observer.ahead.converted === libraries.length - 1 && observer.ahead.failed === 1);
  for (const path of libraries.filter((path) => path !== broken)) await pull(images, pathImage(path));
  expect((await failureOf(images.resolveTag(...pathImage(broken)))).code).toBe("NAR_MISSING");
  server.answer(narFile(broken), (response) => response.end(narOf(broken)));
  await pull(images, pathImage(broken));
});

it("a client's request goes before what is read ahead", async () => {
  const { images, observer, resolver, server } = await start({ workers: 1 });
  await resolver.pathTypes("main", [app, ...libraries]);
  const closure = await resolver.resolve("main", [app]);
  const inOrder = closure.paths.map(({ storePath }) => storePath).filter((path) => path !== app);
  const [first, last] = [inOrder[0]!, inOrder.at(-1)!];
  const held = Promise.withResolvers<void>();
  server.answer(narFile(first), (response) => void held.promise.then(() => response.end(narOf(first))));
  const before = narRequests(server).length;
  await images.resolveTag(...pathImage(app));
  await until(() => narRequests(server).slice(before).includes(narFile(first)));
  const answered = images.resolveTag(...pathImage(last)).then(() => observer.conversions.length);
  // It waits for the one that is under way, and for no other.
  held.resolve();
  expect(await answered).toBe(3);
});

it("a store that is too small has nothing made ahead that would be gone when it is asked for", async () => {
  const size = 100_000;
  const { images, observer } = await start({ size, maxBytes: 6 * size });
  const order = [...libraries].toSorted();
  for (const path of [app, ...order]) await pull(images, pathImage(path));
  await images.close();
  expect(observer.evicted.length).toBeGreaterThan(0);
  expect(observer.conversions.filter(({ outcome }) => outcome === "ok")).toHaveLength(1 + libraries.length);
  expect(observer.conversions).toHaveLength(1 + libraries.length);
  expect(observer.ahead.converted).toBeGreaterThan(0);
});

it("a process that starts again goes on with what is not there yet", async () => {
  const directory = join(await temporaryDirectory(), "store");
  const server = await CacheServer.start(cacheFiles(closureFiles()));
  const begin = async (workers: number): Promise<TestImages> =>
    imagesOf(resolverFor({ main: [server.url] }), { readAhead: true, directory, workers });
  const first = await begin(1);
  await first.images.resolveTag(...pathImage(app));
  await until(() => first.observer.ahead.converted >= 2);
  await first.images.close();
  const made = first.observer.conversions.filter(({ outcome }) => outcome === "ok").length;
  const second = await begin(2);
  await second.images.resolveTag(...pathImage(app));
  await until(() => second.observer.ahead.known + second.observer.ahead.converted === libraries.length);
  for (const path of [app, ...libraries]) await pull(second.images, pathImage(path));
  expect(second.observer.conversions).toHaveLength(1 + libraries.length - made);
});

it("closing ends what is read ahead", async () => {
  const { images, observer, resolver, server } = await start();
  await resolver.pathTypes("main", [app, ...libraries]);
  for (const path of libraries) server.answer(narFile(path), () => undefined);
  const before = narRequests(server).length;
  await images.resolveTag(...pathImage(app));
  // The app's own, and two that hang.
  await until(() => narRequests(server).length === before + 3);
  await images.close();
  expect(observer.ahead).toEqual({ converted: 0, known: 0, failed: 0, dropped: 0 });
});
