import { describe, expect, onTestFinished, test } from "vitest";
import { storeHash } from "../../src/nix/store-path.ts";
import { CacheServer, withStatus, type Answer } from "./cache-server.ts";
import { cacheFiles, chain, narInfoOf, pathOf } from "./fake-store.ts";
import { failureOf, noLimits, resolverOf, until, warmUp } from "./fixture.ts";
import { TestClock } from "./test-clock.ts";

/** A cache that keeps the answer for one path back until it is told. */
async function slowCache(
  paths: Parameters<typeof cacheFiles>[0],
  slow: string,
): Promise<{ readonly server: CacheServer; readonly answer: (how: Answer) => void }> {
  const server = await CacheServer.start(cacheFiles(paths));
  const { promise, resolve } = Promise.withResolvers<Answer>();
  server.answer(slow, (response, request) => {
    void promise.then((how) => how(response, request));
  });
  return { server, answer: resolve };
}

/** Unhandled rejections until the end of the test. */
function unhandled(): readonly unknown[] {
  const seen: unknown[] = [];
  const note = (reason: unknown): void => void seen.push(reason);
  process.on("unhandledRejection", note);
  onTestFinished(() => void process.off("unhandledRejection", note));
  return seen;
}

/** What signals of AbortSignal.timeout abort with. */
const timeIsUp = new DOMException("The operation was aborted due to timeout", "TimeoutError");

const paths = chain(4);
const [root, third] = [paths[0]![0], paths[2]![0]];
const thirdInfo = paths[2]![1];
const slow = `${storeHash(third)}.narinfo`;

describe("a walk whose caller leaves", () => {
  test("goes on, and is done when the caller comes again", async () => {
    const clock = new TestClock();
    const { server, answer } = await slowCache(paths, slow);
    const resolver = resolverOf(server.url, { clock });
    const controller = new AbortController();
    const first = failureOf(resolver.resolve("main", [root], controller.signal));
    await until(() => server.paths.includes(slow));
    clock.advance(8_500);
    controller.abort(timeIsUp);
    const error = await first;
    expect(error.code).toBe("RESOLVE_TIMEOUT");
    expect(error.temporary).toBe(true);
    expect(error.message).toContain(
      `the closure of ${root} did not become known within 8.5 s (2 paths known so far, the walk goes on)`,
    );
    answer((response) => response.end(narInfoOf(third, thirdInfo)));
    await until(() => server.requests.length === 5 && server.open === 0);
    await until(() => clock.limits === 0);
    const asked = server.requests.length;
    expect((await resolver.resolve("main", [root])).paths).toHaveLength(4);
    expect(server.requests).toHaveLength(asked);
  });

  test("is joined by the next caller, and asks for nothing twice", async () => {
    const { server, answer } = await slowCache(paths, slow);
    const resolver = resolverOf(server.url);
    const controller = new AbortController();
    const first = failureOf(resolver.resolve("main", [root], controller.signal));
    await until(() => server.paths.includes(slow));
    controller.abort(timeIsUp);
    await first;
    const second = resolver.resolve("main", [root]);
    const alsoSecond = resolver.resolve("main", [root], new AbortController().signal);
    answer((response) => response.end(narInfoOf(third, thirdInfo)));
    expect(await second).toBe(await alsoSecond);
    expect(new Set(server.paths).size).toBe(server.paths.length);
  });

  test("may fail with nobody there, and is tried anew by the next caller", async () => {
    const rejections = unhandled();
    const { server, answer } = await slowCache(paths, slow);
    const resolver = resolverOf(server.url);
    const controller = new AbortController();
    const first = failureOf(resolver.resolve("main", [root], controller.signal));
    await until(() => server.paths.includes(slow));
    controller.abort(timeIsUp);
    await first;
    answer(withStatus(400));
    await until(() => server.open === 0);
    await new Promise<void>((resolve) => setTimeout(resolve));
    expect(rejections).toEqual([]);
    server.answer(slow, (response) => response.end(narInfoOf(third, thirdInfo)));
    expect((await resolver.resolve("main", [root])).paths).toHaveLength(4);
  });

  test("ends after ten minutes, also for who waits", async () => {
    const clock = new TestClock();
    const { server } = await slowCache(paths, slow);
    const resolver = resolverOf(server.url, { clock });
    const waiting = failureOf(resolver.resolve("main", [root]));
    await until(() => server.paths.includes(slow));
    clock.advance(599_999);
    expect(clock.limits).toBe(1);
    clock.advance(1);
    const error = await waiting;
    expect(error.code).toBe("CACHE_UNAVAILABLE");
    expect(error.message).toContain("it is not complete after 10 minutes");
  });

  test("ends when 32 others were left after it, but not if somebody joined it", async () => {
    const clock = new TestClock();
    const server = await CacheServer.start();
    const held: (() => void)[] = [];
    const resolver = resolverOf(server.url, { clock });
    await warmUp(resolver);
    server.answer("*", (response, request) => {
      if (request.url === "/nix-cache-info") response.writeHead(404).end();
      else held.push(() => response.writeHead(404).end());
    });
    const leave = async (name: string): Promise<void> => {
      const controller = new AbortController();
      const left = failureOf(resolver.resolve("main", [pathOf(name)], controller.signal));
      const asked = `${storeHash(pathOf(name))}.narinfo`;
      await until(() => server.paths.includes(asked));
      controller.abort(timeIsUp);
      await left;
    };
    for (let n = 0; n < 32; n++) await leave(`left-${n}`);
    expect(clock.limits).toBe(32);
    const joined = failureOf(resolver.resolve("main", [pathOf("left-0")]));
    await leave("left-32");
    expect(clock.limits).toBe(33);
    await leave("left-33");
    await until(() => clock.limits === 33);
    // The joined one is still going, and hears the cache's answer.
    for (const answer of held) answer();
    expect((await joined).code).toBe("PATH_UNKNOWN");
  });
});

describe("a caller's signal", () => {
  const gone = AbortSignal.abort(timeIsUp);

  test.for(["resolve", "lookup"] as const)(
    "that aborts for another reason than time ends %s with it",
    async (method) => {
      const first = `${storeHash(root)}.narinfo`;
      const { server, answer } = await slowCache(paths, first);
      const resolver = resolverOf(server.url);
      const controller = new AbortController();
      const { signal } = controller;
      const call =
        method === "resolve"
          ? resolver.resolve("main", [root], signal)
          : resolver.lookup("main", storeHash(root), signal);
      const failed = expect(call).rejects.toThrow("no longer wanted");
      await until(() => server.paths.includes(first));
      controller.abort(new Error("no longer wanted"));
      await failed;
      await expect(resolver.resolve("main", [root], signal)).rejects.toThrow("no longer wanted");
      answer(withStatus(400));
      await until(() => server.open === 0);
    },
  );

  test("that has aborted already gets what is known, and starts nothing", async () => {
    const server = await CacheServer.start(cacheFiles(paths));
    const resolver = resolverOf(server.url);
    expect((await failureOf(resolver.resolve("main", [root], gone))).code).toBe("RESOLVE_TIMEOUT");
    expect(server.requests).toEqual([]);
    const closure = await resolver.resolve("main", [root]);
    expect(await resolver.resolve("main", [root], gone)).toBe(closure);
  });

  test.for(["lookup", "pathTypes", "narLocations", "resolveHashes"] as const)("ends %s", async (method) => {
    const rejections = unhandled();
    const first = `${storeHash(root)}.narinfo`;
    const { server, answer } = await slowCache(paths, first);
    const resolver = resolverOf(server.url);
    const controller = new AbortController();
    const { signal } = controller;
    const calls = {
      lookup: () => resolver.lookup("main", storeHash(root), signal),
      pathTypes: () => resolver.pathTypes("main", [root], signal),
      narLocations: () => resolver.narLocations("main", root, signal),
      resolveHashes: () => resolver.resolveHashes("main", [storeHash(root)], signal),
    };
    const call = failureOf(calls[method]());
    await until(() => server.paths.includes(first));
    controller.abort(timeIsUp);
    expect((await call).code).toBe("RESOLVE_TIMEOUT");
    answer(withStatus(400));
    await until(() => server.open === 0);
    await new Promise<void>((resolve) => setTimeout(resolve));
    expect(rejections).toEqual([]);
  });
});

test("a question whose caller was gone before may fail with nobody there", async () => {
  const rejections = unhandled();
  const server = await CacheServer.start();
  server.answer(`${storeHash(root)}.narinfo`, 400);
  const resolver = resolverOf(server.url);
  const lookup = resolver.lookup("main", storeHash(root), AbortSignal.abort(timeIsUp));
  expect((await failureOf(lookup)).code).toBe("RESOLVE_TIMEOUT");
  await until(() => server.requests.length === 2 && server.open === 0);
  await new Promise<void>((resolve) => setTimeout(resolve));
  expect(rejections).toEqual([]);
});

describe("callers at the same time", () => {
  test("share the requests for paths that their closures have in common", async () => {
    const common = chain(3, "common");
    const tops = ["a", "b", "c"].map((name) => [pathOf(name), { references: [common[0]![0]] }] as const);
    const server = await CacheServer.start(cacheFiles([...common, ...tops]));
    const resolver = resolverOf(server.url);
    const closures = await Promise.all(tops.map(([top]) => resolver.resolve("main", [top])));
    expect(closures.map((closure) => closure.paths.length)).toEqual([4, 4, 4]);
    expect(server.paths).toHaveLength(1 + 3 + 3);
  });

  test("share a path's type", async () => {
    const server = await CacheServer.start(cacheFiles([[root]]));
    const resolver = resolverOf(server.url);
    const types = await Promise.all(Array.from({ length: 20 }, () => resolver.pathTypes("main", [root])));
    expect(types.every((found) => found.get(root) === "directory")).toBe(true);
    expect(server.paths).toEqual([
      "nix-cache-info",
      `${storeHash(root)}.narinfo`,
      `${storeHash(root)}.ls`,
      `nar/${storeHash(root)}.nar`,
    ]);
  });

  test("of two sources share nothing", async () => {
    const server = await CacheServer.start(cacheFiles([[root]]));
    const { createResolver } = await import("../../src/resolver/resolver.ts");
    const source = { caches: [server.url], publicKeys: [] };
    const resolver = createResolver({
      sources: [
        { ...source, name: "one" },
        { ...source, name: "two" },
      ],
      limits: noLimits,
    });
    onTestFinished(() => resolver.close());
    expect(resolver.sources).toEqual(["one", "two"]);
    await Promise.all(["one", "two"].map((name) => failureOf(resolver.resolve(name, [root]))));
    expect(server.paths).toHaveLength(4);
    const error = await failureOf(resolver.resolve("three", [root]));
    expect(error.code).toBe("SOURCE_UNKNOWN");
    expect(error.message).toContain("one, two");
  });
});
