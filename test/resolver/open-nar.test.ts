import { createHash } from "node:crypto";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { Worker } from "node:worker_threads";
import zlib from "node:zlib";
import { describe, expect, test } from "vitest";
import { contentAddressedPath, parseContentAddress } from "../../src/nix/content-address.ts";
import { encodeNix32 } from "../../src/nix/nix32.ts";
import { storeHash } from "../../src/nix/store-path.ts";
import type { NarLocation } from "../../src/resolver/nar-location.ts";
import { openNar } from "../../src/resolver/open-nar.ts";
import { zstdFrames } from "../compression/compress.ts";
import { writeNar } from "../nix/nar-writer.ts";
import { CacheServer, redirectTo, withStatus, type Answer } from "./cache-server.ts";
import { cacheFiles, directoryNar, pathOf } from "./fake-store.ts";
import { failureOf, resolverOf, until } from "./fixture.ts";

type CacheFiles = ReturnType<typeof cacheFiles>;

const path = pathOf("app");
const narInfo = `${storeHash(path)}.narinfo`;
const nar = `nar/${storeHash(path)}.nar`;

async function locate(server: CacheServer): Promise<NarLocation> {
  const [location] = await resolverOf(server.url).narLocations("main", path);
  return location!;
}

async function readAll(stream: Readable): Promise<Buffer> {
  return Buffer.concat(await stream.toArray());
}

describe("where a NAR is", () => {
  test("is plain data, which a worker thread can use", async () => {
    const server = await CacheServer.start(cacheFiles([[path]]));
    const location = await locate(server);
    expect(location).toEqual({
      cache: server.url,
      url: `${server.url}/${nar}`,
      origin: server.url,
      storePath: path,
      compression: "none",
      narHash: expect.stringMatching(/^sha256:/),
      narSize: directoryNar.length,
    });
    expect(structuredClone(location)).toEqual(location);
    const module = new URL("../../src/resolver/open-nar.ts", import.meta.url).href;
    const worker = new Worker(
      `const { parentPort, workerData } = require("node:worker_threads");
       import(workerData.module).then(async ({ openNar }) => {
         const chunks = await (await openNar(workerData.location)).toArray();
         parentPort.postMessage(Buffer.concat(chunks));
       });`,
      { eval: true, workerData: { module, location } },
    );
    // Asked for before the message comes: both can come in one turn of the event loop.
    const ended = once(worker, "exit");
    const [bytes] = await once(worker, "message");
    expect(Buffer.from(bytes)).toEqual(directoryNar);
    // Connections that are kept do not keep the thread.
    await ended;
  });

  test("is listed for every cache that has the same NAR, first the one that answered first", async () => {
    const without = await CacheServer.start();
    const first = await CacheServer.start(cacheFiles([[path]]));
    const second = await CacheServer.start(cacheFiles([[path]]));
    const other = await CacheServer.start(cacheFiles([[path, { nar: Buffer.from("another build") }]]));
    const untrusted = await CacheServer.start(cacheFiles([[path, { signer: undefined }]]));
    const broken = await CacheServer.start();
    broken.answer(narInfo, 400);
    const leading = await CacheServer.start(cacheFiles([[path, { fields: { url: "file:///x" } }]]));
    const caches = [without, first, other, untrusted, broken, leading, second].map(({ url }) => url);
    const locations = await resolverOf(caches).narLocations("main", path);
    expect(locations.map(({ cache }) => cache)).toEqual([first.url, second.url]);
  });

  test("is checked once more when the connection is made", async () => {
    const server = await CacheServer.start(cacheFiles([[path]]));
    const location = { ...(await locate(server)), origin: "http://cache.example" };
    const error = await failureOf(openNar(location));
    expect(error.code).toBe("CACHE_LEADS_AWAY");
    expect(error.message).toContain("it is a loopback address");
    expect(server.paths).not.toContain(nar);
  });

  test("is where other content is claimed too, if the content address decides", async () => {
    const contents = Buffer.from("text");
    const ca = `text:sha256:${encodeNix32(createHash("sha256").update(contents).digest())}`;
    const text = contentAddressedPath("text", parseContentAddress(ca), [], false)!;
    const claim = (tree: string, fields: object, signed = false): CacheFiles =>
      cacheFiles([
        [
          text,
          {
            nar: writeNar({ type: "regular", contents: Buffer.from(tree) }),
            ...(signed ? {} : { signer: undefined }),
            fields,
          },
        ],
      ]);
    const lying = await CacheServer.start(claim("evil", { contentAddress: ca }));
    const honest = await CacheServer.start(claim("text", { contentAddress: ca }));
    const signing = await CacheServer.start(claim("text", {}, true));
    const located = await resolverOf([lying.url, honest.url, signing.url]).narLocations("main", text);
    // Whoever vouches for it: the content has to fit what the path is trusted for.
    expect(located.map(({ cache, contentAddress }) => [cache, contentAddress])).toEqual(
      [lying.url, honest.url, signing.url].map((cache) => [cache, ca]),
    );
    // With a signature first, its NarHash decides.
    const trusted = await resolverOf([signing.url, lying.url, honest.url]).narLocations("main", text);
    expect(trusted.map(({ cache, contentAddress }) => [cache, contentAddress])).toEqual([
      [signing.url, undefined],
      [honest.url, ca],
    ]);
  });

  test("is an error if the only narinfo leads away", async () => {
    const server = await CacheServer.start(cacheFiles([[path, { fields: { url: "file:///etc/passwd" } }]]));
    const error = await failureOf(locate(server));
    expect(error.code).toBe("CACHE_LEADS_AWAY");
  });
});

describe("the bytes", () => {
  const encoded = (encoding: string, bytes: Uint8Array): Answer => {
    return (response) => response.writeHead(200, { "content-encoding": encoding }).end(bytes);
  };

  test.for<[string, Answer]>([
    ["as they are", (response) => response.end(directoryNar)],
    ["without a content encoding", encoded("identity", directoryNar)],
    ["of gzip", encoded("gzip", zlib.gzipSync(directoryNar))],
    ["of br", encoded("br", zlib.brotliCompressSync(directoryNar))],
    ["of zstd, in frames", encoded("zstd", zstdFrames(directoryNar, 30))],
    ["after a redirect", redirectTo("/moved?x=1")],
  ])("%s", async ([, answer]) => {
    const server = await CacheServer.start(cacheFiles([[path]]));
    const location = await locate(server);
    server.answer(nar, answer);
    server.answer("moved?x=1", (response) => response.end(directoryNar));
    expect(await readAll(await openNar(location))).toEqual(directoryNar);
  });

  test("many of them, unchanged, and no faster than they are read", async () => {
    const large = Buffer.alloc(32 * 2 ** 20, "some bytes ");
    const server = await CacheServer.start(cacheFiles([[path]]));
    const location = await locate(server);
    let sent = 0;
    server.answer(nar, (response) => {
      const step = (): void => {
        while (sent < large.length) {
          const more = response.write(large.subarray(sent, (sent += 65_536)));
          if (!more) return void response.once("drain", step);
        }
        response.end();
      };
      step();
    });
    const stream = await openNar(location);
    await once(stream, "readable");
    const before = sent;
    await new Promise<void>((resolve) => setImmediate(resolve));
    expect(before).toBeLessThan(large.length);
    expect((await readAll(stream)).equals(large)).toBe(true);
  });

  test.for<[string, Answer, string, string]>([
    ["a missing file", withStatus(404), "NAR_MISSING", "but not its NAR"],
    ["a forbidden file", withStatus(403), "NAR_MISSING", "but not its NAR"],
    ["a login that is asked for", withStatus(401), "CACHE_ACCESS_DENIED", "HTTP 401"],
    ["an odd status", withStatus(418), "CACHE_INVALID_ANSWER", "HTTP 418"],
    [
      "an unknown content encoding",
      encoded("x-odd", directoryNar),
      "CACHE_INVALID_ANSWER",
      '"x-odd" is not known',
    ],
    ["a wrong content encoding", encoded("gzip", directoryNar), "CACHE_INVALID_ANSWER", "incorrect header"],
    ["a redirect to a file", redirectTo("file:///etc/passwd"), "CACHE_LEADS_AWAY", "http and https only"],
    [
      "a body that breaks off",
      (response) => {
        response.writeHead(200, { "content-length": "1000" }).write("bytes");
        setImmediate(() => response.destroy());
      },
      "CACHE_UNAVAILABLE",
      "other side closed",
    ],
  ])("%s: an error in words", async ([, answer, code, why]) => {
    const server = await CacheServer.start(cacheFiles([[path]]));
    const location = await locate(server);
    server.answer(nar, answer);
    const error = await failureOf(openNar(location).then(readAll));
    expect(error.code).toBe(code);
    expect(error.message).toContain(why);
    expect(error.message).toContain(server.url);
  });

  test("that break off before anybody reads them: the same error", async () => {
    const server = await CacheServer.start(cacheFiles([[path]]));
    const location = await locate(server);
    let broken = false;
    server.answer(nar, (response) => {
      response.writeHead(200, { "content-length": "1000" }).write("bytes");
      setImmediate(() => response.destroy());
      response.once("close", () => (broken = true));
    });
    const stream = await openNar(location);
    await until(() => broken);
    // The other end hears of it some turns later; whichever comes first, the error is the cache's.
    for (let turn = 0; turn < 20; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
    const error = await failureOf(readAll(stream));
    expect(error.code).toBe("CACHE_UNAVAILABLE");
    expect(error.message).toContain("other side closed");
  });

  test("that drip: an error in words", async () => {
    const server = await CacheServer.start(cacheFiles([[path]]));
    const location = await locate(server);
    server.answer(nar, (response) => {
      const timer = setInterval(() => response.write("("), 10);
      response.once("close", () => clearInterval(timer));
    });
    const limits = { connect: 1000, headers: 1000, stall: 200, patience: 1000 };
    const error = await failureOf(openNar(location, undefined, limits).then(readAll));
    expect(error.code).toBe("CACHE_UNAVAILABLE");
    expect(error.message).toMatch(/only \d+ bytes came in 0 s/);
    await until(() => server.open === 0);
  });

  test("that come after a failure to open", async () => {
    const server = await CacheServer.start(cacheFiles([[path]]));
    const location = await locate(server);
    let failures = 2;
    server.answer(nar, (response, request) => {
      if (failures-- > 0) withStatus(500)(response, request);
      else response.end(directoryNar);
    });
    expect(await readAll(await openNar(location))).toEqual(directoryNar);
  });
});

describe("the signal", () => {
  test("ends the wait for an answer, with its reason", async () => {
    const server = await CacheServer.start(cacheFiles([[path]]));
    const location = await locate(server);
    server.answer(nar, () => undefined);
    const controller = new AbortController();
    const opening = openNar(location, controller.signal);
    await until(() => server.paths.includes(nar));
    controller.abort(new Error("no longer wanted"));
    await expect(opening).rejects.toThrow("no longer wanted");
    await expect(openNar(location, controller.signal)).rejects.toThrow("no longer wanted");
    await until(() => server.open === 0);
  });

  test.for([
    ["http", {}],
    ["http with a content encoding", { "content-encoding": "zstd" }],
  ] as const)("ends a body over %s that hangs, with its reason", async ([, headers]) => {
    const server = await CacheServer.start(cacheFiles([[path]]));
    const location = await locate(server);
    server.answer(nar, (response) => {
      response.writeHead(200, headers).write(zlib.zstdCompressSync(directoryNar));
    });
    const controller = new AbortController();
    const stream = await openNar(location, controller.signal);
    await once(stream, "readable");
    const read = readAll(stream);
    controller.abort(new Error("no longer wanted"));
    await expect(read).rejects.toThrow("no longer wanted");
    await until(() => server.open === 0);
  });

  test("is not needed to end a request: destroying the stream does it too, read or not", async () => {
    const server = await CacheServer.start(cacheFiles([[path]]));
    const location = await locate(server);
    server.answer(nar, (response) => response.write("bytes"));
    (await openNar(location)).destroy();
    const stream = await openNar(location);
    await once(stream, "readable");
    stream.read();
    stream.destroy();
    await until(() => server.open === 0);
  });
});
