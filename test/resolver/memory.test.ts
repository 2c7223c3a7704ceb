import { serialize } from "node:v8";
import { describe, expect, test } from "vitest";
import { parseNarInfo } from "../../src/nix/narinfo.ts";
import { storeHash, type StorePath } from "../../src/nix/store-path.ts";
import { Memory, type KnownPath } from "../../src/resolver/memory.ts";
import { silentObserver } from "../../src/resolver/observer.ts";
import { CacheServer } from "./cache-server.ts";
import { cacheFiles, narInfoOf, pathOf } from "./fake-store.ts";
import { failureOf, resolverOf } from "./fixture.ts";
import { TestClock } from "./test-clock.ts";

const hour = 3_600_000;

function knownOf(path: StorePath, references: readonly StorePath[] = []): KnownPath {
  const bytes = narInfoOf(path, { references });
  return { info: parseNarInfo(bytes), signed: true, size: bytes.length, cache: 0 };
}

function memoryOf(maxBytes: number): Memory {
  return new Memory(maxBytes, new TestClock(), silentObserver);
}

describe("the bound", () => {
  test("holds, and what was used last stays", () => {
    const memory = memoryOf(100_000);
    const paths = Array.from({ length: 500 }, (_, n) => pathOf(`p-${n}`));
    for (const path of paths) {
      memory.rememberPath("s", storeHash(path), knownOf(path));
      memory.rememberType("s", path, "directory");
      expect(memory.path("s", storeHash(paths[0]!)).known).toBeDefined();
      expect(memory.bytes).toBeLessThanOrEqual(100_000);
    }
    expect(memory.bytes).toBeGreaterThan(90_000);
    expect(memory.path("s", storeHash(paths[499]!)).known).toBeDefined();
    expect(memory.path("s", storeHash(paths[1]!)).known).toBeUndefined();
  });

  test("counts no less than the data has, with many references or few", () => {
    for (const count of [0, 10, 1000]) {
      const memory = memoryOf(2 ** 30);
      const references = Array.from({ length: count }, (_, n) => pathOf(`reference-${n}`));
      const known = knownOf(pathOf("app"), references);
      memory.rememberPath("s", storeHash(known.info.storePath), known);
      expect(memory.bytes).toBeGreaterThan(serialize(known).length);
    }
  });

  test("is that of closures too: one that is larger than all memory is not kept", async () => {
    const leaves = Array.from({ length: 50 }, (_, n) => pathOf(`leaf-${n}`));
    const root = pathOf("root");
    const files = cacheFiles([[root, { references: leaves }], ...leaves.map((leaf) => [leaf] as const)]);
    const server = await CacheServer.start(files);
    const resolver = resolverOf(server.url, { memoryBytes: 20_000 });
    expect((await resolver.resolve("main", [root])).paths).toHaveLength(51);
    const asked = server.requests.length;
    expect((await resolver.resolve("main", [root])).paths).toHaveLength(51);
    expect(server.requests.length).toBeGreaterThan(asked);
  });
});

describe("time", () => {
  const path = pathOf("app");
  const narInfo = `${storeHash(path)}.narinfo`;

  test("a path that no cache has is not asked for again for five seconds", async () => {
    const clock = new TestClock();
    const server = await CacheServer.start();
    const resolver = resolverOf(server.url, { clock });
    for (let n = 0; n < 3; n++) {
      expect((await failureOf(resolver.resolve("main", [path]))).code).toBe("PATH_UNKNOWN");
    }
    clock.advance(4_999);
    await failureOf(resolver.lookup("main", storeHash(path)));
    expect(server.paths.filter((asked) => asked === narInfo)).toHaveLength(1);
    server.answer(narInfo, (response) => response.end(narInfoOf(path)));
    clock.advance(1);
    expect((await resolver.resolve("main", [path])).paths).toHaveLength(1);
  });

  test("only what is missing is kept so: an answer that is wrong is asked for again at once", async () => {
    const server = await CacheServer.start();
    server.answer(narInfo, (response) => response.end(narInfoOf(path, { signer: undefined })));
    const resolver = resolverOf(server.url);
    expect((await failureOf(resolver.resolve("main", [path]))).code).toBe("PATH_UNTRUSTED");
    server.answer(narInfo, (response) => response.end(narInfoOf(path)));
    expect((await resolver.resolve("main", [path])).paths).toHaveLength(1);
  });

  test("an answer is believed for a day", async () => {
    const clock = new TestClock();
    const server = await CacheServer.start(cacheFiles([[path]]));
    const resolver = resolverOf(server.url, { clock });
    await resolver.resolve("main", [path]);
    server.answer(narInfo, 404);
    clock.advance(24 * hour - 1);
    await resolver.resolve("main", [path]);
    clock.advance(1);
    expect((await failureOf(resolver.resolve("main", [path]))).code).toBe("PATH_UNKNOWN");
  });

  test("and for longer while the cache cannot be asked", async () => {
    const clock = new TestClock();
    const server = await CacheServer.start(cacheFiles([[path]]));
    const resolver = resolverOf(server.url, { clock });
    await resolver.resolve("main", [path]);
    await server.stop();
    clock.advance(25 * hour);
    expect((await resolver.resolve("main", [path])).paths).toHaveLength(1);
  });

  test("and is not kept waiting then", async () => {
    const clock = new TestClock();
    const server = await CacheServer.start(cacheFiles([[path]]));
    const resolver = resolverOf(server.url, { clock });
    await resolver.resolve("main", [path]);
    server.answer("*", 503);
    clock.advance(25 * hour);
    expect((await resolver.resolve("main", [path])).paths).toHaveLength(1);
    expect(clock.pauses).toEqual([]);
  });
});

describe("forgetting a path", () => {
  test("asks for it again, and for closures with it, but not for the others", async () => {
    const [root, leaf, other] = [pathOf("root"), pathOf("leaf"), pathOf("other")];
    const server = await CacheServer.start(cacheFiles([[root, { references: [leaf] }], [leaf], [other]]));
    const resolver = resolverOf(server.url);
    await resolver.pathTypes("main", [leaf]);
    await resolver.resolve("main", [root]);
    const unconcerned = await resolver.resolve("main", [other]);
    const before = server.requests.length;
    resolver.forget("main", leaf);
    await resolver.resolve("main", [root]);
    expect(await resolver.resolve("main", [other])).toBe(unconcerned);
    expect(server.paths.slice(before)).toEqual([`${storeHash(leaf)}.narinfo`]);
    await resolver.pathTypes("main", [leaf]);
    expect(server.paths.slice(before + 1)).toEqual([`${storeHash(leaf)}.ls`, `nar/${storeHash(leaf)}.nar`]);
  });
});
