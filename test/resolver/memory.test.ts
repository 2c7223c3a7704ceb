import { serialize } from "node:v8";
import { describe, expect, test } from "vitest";
import type { Closure } from "../../src/nix/closure.ts";
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

describe("closures", () => {
  const base = Array.from({ length: 40 }, (_, n) => pathOf(`base-${n}`));
  const baseKnown = base.map((path) => knownOf(path));
  /** A closure of a root of its own and the base. */
  const closureOf = (name: string): { closure: Closure; paths: readonly KnownPath[] } => {
    const root = knownOf(pathOf(name), base);
    const infos = [root, ...baseKnown].map(({ info }) => info);
    const byPath = new Map(infos.map((info) => [info.storePath, info]));
    const closure = { roots: [root.info.storePath], paths: infos, byPath, narSize: 1 };
    return { closure, paths: [root, ...baseKnown] };
  };

  test("share their paths, which are counted once", () => {
    const memory = memoryOf(2 ** 30);
    const grown = ["a", "b", "c"].map((name) => {
      const before = memory.bytes;
      const { closure, paths } = closureOf(name);
      memory.rememberClosure("s", closure, paths);
      return memory.bytes - before;
    });
    expect(grown[1]).toBeLessThan(grown[0]! / 3);
    expect(grown[2]).toBe(grown[1]);
  });

  test("that go take along what no other has", () => {
    const memory = memoryOf(2 ** 30);
    const [a, b] = [closureOf("a"), closureOf("b")];
    memory.rememberClosure("s", a.closure, a.paths);
    const one = memory.bytes;
    memory.rememberClosure("s", b.closure, b.paths);
    memory.forget("s", b.closure.roots[0]!);
    expect(memory.bytes).toBe(one);
    expect(memory.path("s", storeHash(base[0]!)).known).toBe(baseKnown[0]);
    memory.forget("s", base[0]!);
    expect(memory.bytes).toBe(0);
    expect(memory.path("s", storeHash(base[1]!)).known).toBeUndefined();
  });

  test("stay within the bound, least recently used first to go, with their paths", () => {
    const memory = memoryOf(2 ** 30);
    const first = closureOf("first");
    memory.rememberClosure("s", first.closure, first.paths);
    const small = memoryOf(Math.floor(memory.bytes * 1.5));
    small.rememberClosure("s", first.closure, first.paths);
    for (let n = 0; n < 100; n++) {
      const { closure, paths } = closureOf(`next-${n}`);
      small.rememberClosure("s", closure, paths);
      expect(small.closure("s", closure.roots)).toBe(closure);
      expect(small.bytes).toBeLessThanOrEqual(Math.floor(memory.bytes * 1.5));
    }
    expect(small.closure("s", first.closure.roots)).toBeUndefined();
    expect(small.path("s", storeHash(first.closure.roots[0]!)).known).toBeUndefined();
  });

  test("answer for their paths, unless a cache has said since that it has none", () => {
    const memory = memoryOf(2 ** 30);
    const { closure, paths } = closureOf("a");
    memory.rememberClosure("s", closure, paths);
    expect(memory.path("s", storeHash(base[0]!)).known).toBe(baseKnown[0]);
    memory.rememberMissing("s", storeHash(base[0]!));
    expect(memory.path("s", storeHash(base[0]!)).known).toBe("missing");
    expect(memory.closure("s", closure.roots)).toBe(closure);
  });

  test("of which one has an answer of its own do not hide a newer one", () => {
    const memory = memoryOf(2 ** 30);
    const { closure, paths } = closureOf("a");
    const newer = memory.rememberPath("s", storeHash(base[0]!), knownOf(base[0]!));
    memory.rememberClosure("s", closure, paths);
    expect(memory.path("s", storeHash(base[0]!)).known).toBe(newer);
    memory.forget("s", base[0]!);
    expect(memory.bytes).toBe(0);
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
