import { randomBytes } from "node:crypto";
import type { ServerResponse } from "node:http";
import { describe, expect, test } from "vitest";
import { storeHash } from "../../src/nix/store-path.ts";
import { decodePrefix } from "../../src/resolver/nar-prefix.ts";
import { brotli, bzip2, gzip, skippableFrame, xz, zstd, zstdFrames } from "../compression/compress.ts";
import { writeNar } from "../nix/nar-writer.ts";
import { CacheServer, type Answer } from "./cache-server.ts";
import { cacheFiles, directoryNar, pathOf } from "./fake-store.ts";
import { failureOf, resolverOf, until } from "./fixture.ts";
import { TestClock } from "./test-clock.ts";

const path = pathOf("app");
const narInfo = `${storeHash(path)}.narinfo`;
const listing = `${storeHash(path)}.ls`;
const nar = `nar/${storeHash(path)}.nar`;

const directoryListing = Buffer.from('{"version":1,"root":{"type":"directory","entries":{}}}');
const symlinkNar = writeNar({ type: "symlink", target: Buffer.from("x") });
/** Bytes that no compression makes smaller, so that the NAR is longer than what is read of it. */
const noise = Buffer.from(Array.from({ length: 3_000_000 }, (_, n) => (n * n * 2_654_435_761) >>> 24));
const largeNar = writeNar({ type: "regular", contents: noise });

const randomNar = writeNar({ type: "regular", contents: randomBytes(2_000_000) });

async function typeFrom(compression: string, bytes: Uint8Array): Promise<string | undefined> {
  const server = await CacheServer.start(cacheFiles([[path, { fields: { compression } }]]));
  server.answer(nar, (response) => response.end(bytes));
  const types = await resolverOf(server.url).pathTypes("main", [path]);
  return types.get(path);
}

describe("from the first bytes of a NAR", () => {
  const compressions: readonly (readonly [string, string, (data: Uint8Array) => Buffer])[] = [
    ["none", "none", (data) => Buffer.from(data)],
    ["gzip", "gzip", gzip],
    ["br", "br", brotli],
    ["zstd", "zstd", (data) => zstd(data)],
    ["zstd with checksums", "zstd", (data) => zstd(data, { checksum: true })],
    ["zstd of tiny frames", "zstd", (data) => zstdFrames(data.subarray(0, 2000), 7)],
    [
      "zstd after a skippable frame",
      "zstd",
      (data) => Buffer.concat([skippableFrame(noise.subarray(0, 99_999)), zstd(data)]),
    ],
    ["xz", "xz", (data) => xz(data)],
    ["bzip2 of small blocks", "bzip2", (data) => bzip2(data)],
    ["bzip2 of large blocks", "bzip2", (data) => bzip2(data, "-9")],
    ["absent, which means bzip2", "", (data) => bzip2(data)],
  ];
  const nars = [
    ["an empty directory", directoryNar, "directory"],
    ["a symlink", symlinkNar, "symlink"],
    ["a large file", largeNar, "regular"],
  ] as const;

  describe.for(compressions)("compressed with %s", ([, name, compress]) => {
    test.for(nars)("%s", async ([, bytes, type]) => {
      expect(await typeFrom(name, compress(bytes))).toBe(type);
    });
  });

  test.for([
    ["is enough", "zstd", zstd(randomNar), ["bytes=0-262143"]],
    ["is too little", "bzip2", bzip2(randomNar, "-9"), ["bytes=0-262143", undefined]],
  ] as const)("of which a part is asked for, and sent: it %s", async ([, compression, bytes, asked]) => {
    const server = await CacheServer.start(cacheFiles([[path, { fields: { compression } }]]));
    const ranges: (string | undefined)[] = [];
    server.answer(nar, (response, { headers: { range } }) => {
      ranges.push(range);
      if (range === undefined) return void response.end(bytes);
      const end = Number(range.split("-")[1]) + 1;
      response.writeHead(206, { "content-range": `bytes 0-${end - 1}/${bytes.length}` });
      response.end(bytes.subarray(0, end));
    });
    expect((await resolverOf(server.url).pathTypes("main", [path])).get(path)).toBe("regular");
    expect(ranges).toEqual(asked);
  });

  test.for([
    ["another part", { "content-range": "bytes 1-9/99" }],
    ["a part of nothing", {}],
  ] as const)("of which the cache sends %s: an error in words", async ([, headers]) => {
    const server = await CacheServer.start(cacheFiles([[path]]));
    server.answer(nar, (response) => response.writeHead(206, headers).end(directoryNar));
    const error = await failureOf(resolverOf(server.url).pathTypes("main", [path]));
    expect(error.code).toBe("CACHE_INVALID_ANSWER");
    expect(error.message).toContain("HTTP 206");
  });

  test("many that are compressed with xz at the same time, for its decoder takes them in turn", async () => {
    const compressed = xz(largeNar);
    const prefixes = await Promise.all([
      ...Array.from({ length: 8 }, () => decodePrefix(compressed.subarray(0, 70_000), "xz")),
      decodePrefix(Buffer.from("no xz"), "xz"),
      decodePrefix(compressed.subarray(0, 20), "xz"),
      decodePrefix(compressed, "xz"),
    ]);
    expect(prefixes.map((prefix) => prefix.length >= 512)).toEqual([
      ...Array.from({ length: 8 }, () => true),
      false,
      false,
      true,
    ]);
  });

  test("of a NAR that is never to end: the request is ended", async () => {
    const server = await CacheServer.start(cacheFiles([[path]]));
    server.answer(nar, (response) => {
      response.write(Buffer.concat([largeNar, Buffer.alloc(65_536)]));
    });
    const types = await resolverOf(server.url).pathTypes("main", [path]);
    expect(types.get(path)).toBe("regular");
    await until(() => server.open === 0);
  });

  test("of rubbish that is never to end: the request is ended", async () => {
    const server = await CacheServer.start(cacheFiles([[path, { fields: { compression: "gzip" } }]]));
    server.answer(nar, (response) => {
      const rubbish = setInterval(() => response.write(Buffer.alloc(262_144)), 1);
      response.once("close", () => clearInterval(rubbish));
    });
    const error = await failureOf(resolverOf(server.url).pathTypes("main", [path]));
    expect(error.message).toContain("cannot be decompressed with gzip");
    await until(() => server.open === 0);
  });

  test.for<[string, string, Uint8Array, string]>([
    ["is none", "none", Buffer.alloc(100), "malformed NAR"],
    ["is cut off", "none", directoryNar.subarray(0, 40), "its first bytes cannot be decompressed with none"],
    ["is empty", "none", Buffer.alloc(0), "cannot be decompressed with none"],
    ["is not compressed so", "zstd", directoryNar, "cannot be decompressed with zstd"],
    ["is rubbish", "bzip2", Buffer.alloc(2 ** 22), "cannot be decompressed with bzip2"],
    ["is compressed in an unknown way", "lzip", directoryNar, 'compressed with "lzip"'],
    ["is compressed like a property", "constructor", directoryNar, 'compressed with "constructor"'],
  ])("that %s: an error in words", async ([, compression, bytes, why]) => {
    const error = await failureOf(typeFrom(compression, bytes));
    expect(error.status).toBe(502);
    expect(error.message).toContain(path);
    expect(error.message).toContain(why);
  });

  test("that is gone: an error in words, and the next call asks again", async () => {
    const server = await CacheServer.start(cacheFiles([[path]]));
    server.answer(nar, 404);
    const resolver = resolverOf(server.url);
    expect((await failureOf(resolver.pathTypes("main", [path]))).code).toBe("NAR_MISSING");
    server.answer(nar, (response) => response.end(directoryNar));
    expect((await resolver.pathTypes("main", [path])).get(path)).toBe("directory");
  });

  test("of the next cache that has the path, if the first one's cannot be read", async () => {
    const first = await CacheServer.start(cacheFiles([[path]]));
    first.answer(nar, 404);
    const second = await CacheServer.start(cacheFiles([[path, { fields: { compression: "gzip" } }]]));
    second.answer(nar, (response) => response.end(gzip(directoryNar)));
    const types = await resolverOf([first.url, second.url]).pathTypes("main", [path]);
    expect(types.get(path)).toBe("directory");
    expect(second.paths).toContain(nar);
  });
});

describe("from the listing", () => {
  test("of the cache that has the path, without a look at the NAR", async () => {
    const server = await CacheServer.start(cacheFiles([[path]]).set(listing, directoryListing));
    server.answer(nar, 404);
    const types = await resolverOf(server.url).pathTypes("main", [path]);
    expect(types.get(path)).toBe("directory");
    expect(server.paths).toEqual(["nix-cache-info", narInfo, listing]);
  });

  test.for<[string, Answer | number]>([
    ["missing", 404],
    ["malformed", (response) => response.end('{"version":1')],
    ["of another version", (response) => response.end('{"version":2,"root":{"type":"symlink"}}')],
    ["too large", (response) => response.end(Buffer.alloc(8 * 2 ** 20 + 1, " "))],
    ["refused", 401],
    ["behind an overload", 503],
    ["not to be had", 501],
  ])("that is %s: then from the NAR", async ([, answer]) => {
    const server = await CacheServer.start(cacheFiles([[path]]));
    server.answer(listing, answer);
    const clock = new TestClock();
    const resolver = resolverOf(server.url, { clock });
    expect((await resolver.pathTypes("main", [path])).get(path)).toBe("directory");
    expect(clock.pauses).toEqual([]);
  });
});

describe("with a second cache", () => {
  const limits = { attempt: 300, patience: 300 };

  test("its NAR comes first when the listing of the first one failed for a passing reason", async () => {
    const first = await CacheServer.start(cacheFiles([[path]]));
    first.answer(listing, 503);
    const second = await CacheServer.start(cacheFiles([[path]]));
    const resolver = resolverOf([first.url, second.url], { clock: new TestClock() });
    expect((await resolver.pathTypes("main", [path])).get(path)).toBe("directory");
    expect(first.paths).not.toContain(nar);
    expect(second.paths).toContain(nar);
  });

  test("it is not asked for anything when the first one has the NAR", async () => {
    const first = await CacheServer.start(cacheFiles([[path]]));
    const second = await CacheServer.start(cacheFiles([[path]]));
    expect((await resolverOf([first.url, second.url]).pathTypes("main", [path])).get(path)).toBe("directory");
    expect(second.requests).toEqual([]);
  });

  test.for<[string, Answer]>([
    ["never begins", () => undefined],
    [
      "drips",
      (response) => {
        const timer = setInterval(() => response.write("("), 20);
        response.once("close", () => clearInterval(timer));
      },
    ],
  ])("it is asked when the NAR of the first one %s, and the first one is left alone", async ([, answer]) => {
    const first = await CacheServer.start(cacheFiles([[path]]));
    first.answer(nar, answer);
    const second = await CacheServer.start(cacheFiles([[path]]));
    const resolver = resolverOf([first.url, second.url], { timeouts: limits });
    expect((await resolver.pathTypes("main", [path])).get(path)).toBe("directory");
    await until(() => first.open === 0);
  });

  test("the first one gets all the time there is when the second one has nothing", async () => {
    const first = await CacheServer.start(cacheFiles([[path]]));
    let asked = 0;
    first.answer(nar, (response) => {
      // Too late for who is in a hurry.
      if (asked++ > 0) response.end(directoryNar);
    });
    const second = await CacheServer.start();
    const resolver = resolverOf([first.url, second.url], { timeouts: limits });
    expect((await resolver.pathTypes("main", [path])).get(path)).toBe("directory");
    expect(asked).toBe(2);
    expect(second.paths).toContain(narInfo);
  });
});

test("a NAR that drips is given up, in words with the path and the cache", async () => {
  const server = await CacheServer.start(cacheFiles([[path]]));
  server.answer(nar, (response) => {
    const timer = setInterval(() => response.write("("), 20);
    response.once("close", () => clearInterval(timer));
  });
  const resolver = resolverOf(server.url, { timeouts: { attempt: 200 } });
  const error = await failureOf(resolver.pathTypes("main", [path]));
  expect(error.message).toContain(`${server.url} could not be asked for the NAR of ${path}`);
  expect(error.message).toContain("not even its start came in 0.2 s");
  await until(() => server.open === 0);
});

test("types are asked for many paths at a time, and fail as one", async () => {
  const all = Array.from({ length: 100 }, (_, n) => pathOf(`p-${n}`));
  const server = await CacheServer.start(cacheFiles(all.map((each) => [each] as const)));
  const resolver = resolverOf(server.url);
  const types = await resolver.pathTypes("main", [...all, ...all]);
  expect([...types.keys()]).toEqual(all);
  const error = await failureOf(resolver.pathTypes("main", [...all, pathOf("gone")]));
  expect(error.code).toBe("PATH_UNKNOWN");
  expect(error.message).toContain(pathOf("gone"));
});

test("at most sixteen NARs are open to tell types", async () => {
  const all = Array.from({ length: 40 }, (_, n) => pathOf(`p-${n}`));
  const server = await CacheServer.start(cacheFiles(all.map((each) => [each] as const)));
  const held: ServerResponse[] = [];
  let [answered, most] = [0, 0];
  for (const each of all) {
    server.answer(`nar/${storeHash(each)}.nar`, (response) => {
      most = Math.max(most, held.push(response));
    });
  }
  const types = resolverOf(server.url).pathTypes("main", all);
  await until(() => held.length === 16);
  for (; answered < all.length; answered++) {
    await until(() => held.length > 0);
    held.shift()?.end(directoryNar);
  }
  expect((await types).size).toBe(40);
  expect(most).toBe(16);
});
