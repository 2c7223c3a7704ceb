import { once } from "node:events";
import { Readable } from "node:stream";
import { Worker } from "node:worker_threads";
import type { ServerResponse } from "node:http";
import { describe, expect, test } from "vitest";
import { storeHash } from "../../src/nix/store-path.ts";
import { CacheServer, redirectTo, withStatus, type Answer } from "./cache-server.ts";
import { cacheFiles, chain, narInfoOf, pathOf, signer } from "./fake-store.ts";
import { failureOf, resolverOf, until } from "./fixture.ts";
import { TestClock } from "./test-clock.ts";

const path = pathOf("app");
const narInfo = `${storeHash(path)}.narinfo`;
const body = narInfoOf(path);

async function serverThat(answer: Answer): Promise<CacheServer> {
  const server = await CacheServer.start();
  server.answer(narInfo, answer);
  return server;
}

describe("a body without bounds", () => {
  test("is not read beyond the limit", async () => {
    let sent = 0;
    const server = await serverThat((response) => {
      const endless = Readable.from(
        (function* () {
          for (;;) {
            sent += 65_536;
            yield Buffer.alloc(65_536);
          }
        })(),
      );
      response.on("close", () => endless.destroy());
      endless.pipe(response);
    });
    const error = await failureOf(resolverOf(server.url).resolve("main", [path]));
    expect(error.message).toContain("it has more than 1048576 bytes, the limit");
    await until(() => server.open === 0);
    expect(sent).toBeLessThan(64 * 2 ** 20);
  });

  test("that drips is given up", async () => {
    const clock = new TestClock();
    const server = await serverThat((response) => {
      const timer = setInterval(() => response.write("#"), 5);
      response.on("close", () => clearInterval(timer));
    });
    const timeouts = { attempt: 60 };
    const error = await failureOf(resolverOf(server.url, { timeouts, clock }).resolve("main", [path]));
    expect(error.code).toBe("CACHE_UNAVAILABLE");
    expect(error.message).toContain("no whole answer in 0.06 s, at the fifth attempt");
    await until(() => server.open === 0);
  });
});

// The timers of undici have a resolution of a second.
describe.concurrent("a cache that stalls is given up, and tried again", () => {
  const stall = (response: ServerResponse): void => void response;
  const half = (response: ServerResponse): void => {
    response.writeHead(200, { "content-length": "500" }).write("StorePath: ");
  };

  test.for<[string, Answer, object, string]>([
    ["before its headers", stall, { headers: 60 }, "Headers Timeout"],
    ["within its body", half, { stall: 60 }, "Body Timeout"],
  ])("%s", async ([, answer, timeouts, why]) => {
    let stalls = 1;
    const server = await serverThat((response, request) => {
      if (stalls-- > 0) answer(response, request);
      else response.end(body);
    });
    const clock = new TestClock();
    const patient = resolverOf(server.url, { timeouts, clock });
    expect((await patient.resolve("main", [path])).paths).toHaveLength(1);
    expect(clock.pauses).toEqual([100]);
    stalls = 1;
    const impatient = resolverOf(server.url, { timeouts: { ...timeouts, patience: 0 }, clock });
    const error = await failureOf(impatient.resolve("main", [path]));
    expect(error.code).toBe("CACHE_UNAVAILABLE");
    expect(error.message).toContain(why);
  });
});

describe("Retry-After", () => {
  test.for<[string, Record<string, string>, number]>([
    ["in seconds", { "retry-after": "7" }, 7000],
    [
      "as a date, by the cache's own clock",
      { date: "Tue, 24 Nov 2026 08:00:00 GMT", "retry-after": "Tue, 24 Nov 2026 08:00:09 GMT" },
      9000,
    ],
    [
      "in the past",
      { date: "Tue, 24 Nov 2026 08:00:00 GMT", "retry-after": "Tue, 24 Nov 2026 07:00:00 GMT" },
      100,
    ],
    ["of no time at all", { "retry-after": "0" }, 100],
    ["of less than none, which some take for a date", { "retry-after": "-5" }, 5000],
    ["with a fraction, which some take for a date", { "retry-after": "5.5" }, 5000],
    ["malformed", { "retry-after": "soon" }, 5000],
    ["missing", {}, 5000],
  ])("%s", async ([, headers, pause]) => {
    let refusals = 1;
    const server = await serverThat((response, request) => {
      if (refusals-- > 0) withStatus(429, headers)(response, request);
      else response.end(body);
    });
    const clock = new TestClock();
    await resolverOf(server.url, { clock }).resolve("main", [path]);
    expect(clock.pauses).toEqual([pause]);
  });
});

describe("nix-cache-info", () => {
  test.for<[string, string | number]>([
    ["is missing", 404],
    ["may not be read", 403],
    ["is empty", ""],
    ["names our store directory", "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n"],
    ["has lines that are none", "hello\nStoreDir:/nix/store"],
  ])("that %s is fine, and asked for once", async ([, answer]) => {
    const server = await CacheServer.start(cacheFiles([[path], [pathOf("b")]]));
    server.answer("nix-cache-info", typeof answer === "number" ? answer : (response) => response.end(answer));
    const resolver = resolverOf(server.url);
    await Promise.all([resolver.resolve("main", [path]), resolver.resolve("main", [pathOf("b")])]);
    expect(server.paths.filter((asked) => asked === "nix-cache-info")).toHaveLength(1);
  });

  test("with another store directory refuses the cache in words, until it is mended", async () => {
    const server = await CacheServer.start(cacheFiles([[path]]));
    server.answer("nix-cache-info", (response) => response.end("StoreDir: /gnu/store\n"));
    const resolver = resolverOf(server.url);
    const error = await failureOf(resolver.resolve("main", [path]));
    expect(error.code).toBe("CACHE_INVALID_ANSWER");
    expect(error.message).toContain('its StoreDir is "/gnu/store", only paths of /nix/store can be mounted');
    expect(server.paths).not.toContain(narInfo);
    server.answer("nix-cache-info", 404);
    expect((await resolver.resolve("main", [path])).paths).toHaveLength(1);
  });
});

describe("connections", () => {
  test("are at most 64 at a time for one cache, and are kept", async () => {
    const leaves = chain(300, "leaf").map(([leaf]) => [leaf, {}] as const);
    const root = pathOf("root");
    const references = leaves.map(([leaf]) => leaf);
    const server = await CacheServer.start(cacheFiles([[root, { references }], ...leaves]));
    const sockets = new Set<unknown>();
    const files = cacheFiles([[root, { references }], ...leaves]);
    server.answer("*", (response, request) => {
      sockets.add(request.socket);
      setImmediate(() => response.end(files.get((request.url ?? "").slice(1))));
    });
    const resolver = resolverOf(server.url);
    expect((await resolver.resolve("main", [root])).paths).toHaveLength(301);
    expect(server.mostOpen).toBeLessThanOrEqual(64);
    expect(sockets.size).toBeLessThanOrEqual(64);
    expect(server.paths).toHaveLength(302);
  });

  test("are used again after answers without content", async () => {
    const server = await CacheServer.start();
    const sockets = new Set<unknown>();
    server.answer("*", (response, request) => {
      sockets.add(request.socket);
      withStatus(404)(response, request);
    });
    const resolver = resolverOf(server.url);
    for (let n = 0; n < 20; n++) await failureOf(resolver.resolve("main", [pathOf(`missing-${n}`)]));
    // One is still reading the end of its answer when the next request comes.
    expect(sockets.size).toBeLessThanOrEqual(2);
  });

  test("and all that is under way end with close, and nothing is asked after it", async () => {
    const server = await serverThat(() => undefined);
    const resolver = resolverOf(server.url);
    const pending = failureOf(resolver.resolve("main", [path]));
    await until(() => server.open === 1 && server.paths.includes(narInfo));
    await resolver.close();
    expect((await pending).code).toBe("SHUTTING_DOWN");
    await until(() => server.open === 0);
    expect((await failureOf(resolver.resolve("main", [path]))).code).toBe("SHUTTING_DOWN");
  });
});

test("nothing of a resolver that is closed keeps its thread", async () => {
  const server = await CacheServer.start(cacheFiles([[path]]));
  const modules = {
    resolver: new URL("../../src/resolver/resolver.ts", import.meta.url).href,
    source: { name: "main", caches: [server.url], publicKeys: [signer.publicKey] },
    path,
  };
  const worker = new Worker(
    `const { parentPort, workerData } = require("node:worker_threads");
     import(workerData.resolver).then(async ({ createResolver }) => {
       const limits = { maxPaths: 10, maxBytes: 1e9 };
       const resolver = createResolver({ sources: [workerData.source], limits });
       const { paths } = await resolver.resolve("main", [workerData.path]);
       await resolver.close();
       parentPort.postMessage(paths.length);
     });`,
    { eval: true, workerData: modules },
  );
  const exit = once(worker, "exit");
  expect(await once(worker, "message")).toEqual([1]);
  // An attempt that had its time left would keep it for half a minute.
  await exit;
}, 15_000);

test("a cache below a path is asked there", async () => {
  const server = await CacheServer.start(
    new Map([...cacheFiles([[path]])].map(([name, bytes]) => [`nix/store/${name}`, bytes])),
  );
  for (const url of [`${server.url}/nix/store`, `${server.url}/nix/store/`]) {
    const resolver = resolverOf(url);
    const [location] = await resolver.narLocations("main", path);
    expect(location?.cache).toBe(`${server.url}/nix/store`);
    expect(location?.url).toBe(`${server.url}/nix/store/nar/${storeHash(path)}.nar`);
  }
});

test("a redirect is followed for all that is asked", async () => {
  const target = await CacheServer.start(cacheFiles([[path]]));
  const server = await CacheServer.start();
  server.answer("*", (response, request) => redirectTo(target.url + (request.url ?? ""))(response, request));
  const resolver = resolverOf(server.url);
  await resolver.resolve("main", [path]);
  expect((await resolver.pathTypes("main", [path])).get(path)).toBe("directory");
  expect(target.paths).toEqual([
    "nix-cache-info",
    narInfo,
    `${storeHash(path)}.ls`,
    `nar/${storeHash(path)}.nar`,
  ]);
});
