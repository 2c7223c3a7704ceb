import zlib from "node:zlib";
import { describe, expect, test } from "vitest";
import { storeHash } from "../../src/nix/store-path.ts";
import { zstdFrames } from "../compression/compress.ts";
import { CacheServer, type Answer } from "./cache-server.ts";
import { narInfoOf, pathOf } from "./fake-store.ts";
import { failureOf, resolverOf } from "./fixture.ts";
import { TestClock } from "./test-clock.ts";

const path = pathOf("app");
const narInfo = `${storeHash(path)}.narinfo`;
const body = narInfoOf(path);

function encoded(encoding: string | string[], bytes: Uint8Array): Answer {
  return (response) => {
    response.setHeader("content-encoding", encoding).end(bytes);
  };
}

async function serverThat(answer: Answer): Promise<CacheServer> {
  const server = await CacheServer.start();
  server.answer(narInfo, answer);
  return server;
}

describe("a narinfo that is stored with a content encoding", () => {
  test.for<[string, Answer]>([
    ["identity", encoded("identity", body)],
    ["gzip", encoded("gzip", zlib.gzipSync(body))],
    ["x-gzip", encoded("X-GZip", zlib.gzipSync(body))],
    [
      "gzip of two members",
      encoded(
        "gzip",
        Buffer.concat([body.subarray(0, 9), body.subarray(9)].map((part) => zlib.gzipSync(part))),
      ),
    ],
    ["br", encoded("br", zlib.brotliCompressSync(body))],
    ["zstd", encoded("zstd", zlib.zstdCompressSync(body))],
    ["zstd of many frames", encoded("zstd", zstdFrames(body, 50))],
    ["two, one after the other", encoded("gzip, br", zlib.brotliCompressSync(zlib.gzipSync(body)))],
    ["two in headers of their own", encoded(["zstd", "gzip"], zlib.gzipSync(zlib.zstdCompressSync(body)))],
  ])("%s is read", async ([, answer]) => {
    const server = await serverThat(answer);
    expect((await resolverOf(server.url).resolve("main", [path])).paths[0]?.storePath).toBe(path);
  });

  test.for<[string, Answer, string]>([
    ["unknown", encoded("compress", body), 'content encoding "compress" is not known'],
    ["named like a property", encoded("constructor", body), 'content encoding "constructor" is not known'],
    ["wrong", encoded("gzip", body), "incorrect header check"],
    ["cut off", encoded("br", zlib.brotliCompressSync(body).subarray(0, 40)), "unexpected end of file"],
    [
      "cut off in a frame",
      encoded("zstd", zlib.zstdCompressSync(body).subarray(0, 40)),
      "unexpected end of file",
    ],
    ["applied too often", encoded("gzip, gzip, gzip", body), "it has 3 content encodings"],
    ["of a wide window", encoded("zstd", wideWindow()), "it needs a window of 16777216 bytes"],
    [
      "a bomb",
      encoded("gzip", zlib.gzipSync(Buffer.alloc(2 ** 24))),
      "it has more than 1048576 bytes, the limit",
    ],
    [
      "a bomb of zstd",
      encoded("zstd", zlib.zstdCompressSync(Buffer.alloc(2 ** 24))),
      "more than 1048576 bytes",
    ],
  ])("that is %s is refused in words", async ([, answer, why]) => {
    const server = await serverThat(answer);
    const error = await failureOf(resolverOf(server.url).resolve("main", [path]));
    expect(error.code).toBe("CACHE_INVALID_ANSWER");
    expect(error.message).toContain(`${server.url} gave a wrong answer for the narinfo of ${path}:`);
    expect(error.message).toContain(why);
    expect(server.paths.filter((asked) => asked === narInfo)).toHaveLength(1);
  });
});

/** zstd data with a window of 16 MiB, twice of what a content encoding may have. */
function wideWindow(): Buffer {
  const params = { [zlib.constants.ZSTD_c_windowLog]: 24, [zlib.constants.ZSTD_c_contentSizeFlag]: 0 };
  return zlib.zstdCompressSync(Buffer.alloc(2 ** 25), { params });
}

describe("a body that breaks off is tried again, whatever its encoding", () => {
  test.for<[string, Uint8Array]>([
    ["identity", body],
    ["gzip", zlib.gzipSync(body)],
    ["br", zlib.brotliCompressSync(body)],
    ["zstd", zlib.zstdCompressSync(body)],
  ])("%s", async ([encoding, bytes]) => {
    let failures = 1;
    const server = await serverThat((response, request) => {
      if (failures-- <= 0) return encoded(encoding, bytes)(response, request);
      response.writeHead(200, { "content-encoding": encoding, "content-length": bytes.length });
      response.write(bytes.subarray(0, 50), () => response.destroy());
    });
    const clock = new TestClock();
    expect((await resolverOf(server.url, { clock }).resolve("main", [path])).paths).toHaveLength(1);
    expect(clock.pauses).toEqual([100]);
  });
});
