import { Readable } from "node:stream";

import { describe, expect, test } from "vitest";

import { cacheUnavailable } from "../../src/errors.ts";
import { absent, base, errorOf, name, useRegistry } from "./registry-fixture.ts";

const registry = useRegistry();

describe("a blob", () => {
  test("is sent whole", async () => {
    const answer = await registry.get(registry.blobUrl);
    expect(answer.statusCode).toBe(200);
    expect(answer.rawPayload.equals(registry.image.layerBytes)).toBe(true);
    expect(answer.headers).toMatchObject({
      "content-type": "application/octet-stream",
      "content-length": "10000",
      "docker-content-digest": registry.image.layer.digest,
      "docker-distribution-api-version": "registry/2.0",
      "x-content-type-options": "nosniff",
      "accept-ranges": "bytes",
      etag: `"${registry.image.layer.digest}"`,
    });
  });

  test("is not read for HEAD, whatever range it asks for", async () => {
    for (const headers of [{ range: "" }, { range: "bytes=0-1" }, { range: "bytes=99999-" }]) {
      const answer = await registry.head(registry.blobUrl, headers);
      expect(answer).toMatchObject({ statusCode: 200, body: "" });
      expect(answer.headers).toMatchObject({
        "content-length": "10000",
        "content-type": "application/octet-stream",
        "docker-content-digest": registry.image.layer.digest,
        "accept-ranges": "bytes",
      });
    }
    expect(registry.image.images.read).toBe(0);
    expect(registry.image.images.opened).toBe(3);
  });

  test("that the client has is not read", async () => {
    const answer = await registry.get(registry.blobUrl, {
      "if-none-match": `"${registry.image.layer.digest}"`,
      range: "bytes=99999-",
    });
    expect(answer).toMatchObject({ statusCode: 304, body: "" });
    expect(answer.headers).toMatchObject({ "docker-content-digest": registry.image.layer.digest });
    expect(registry.image.images.read).toBe(0);
  });

  test("may be empty", async () => {
    const digest = registry.image.images.addBlob(name, new Uint8Array());
    const answer = await registry.get(`${base}/blobs/${digest}`);
    expect(answer).toMatchObject({ statusCode: 200, body: "" });
    expect(answer.headers["content-length"]).toBe("0");
  });

  test.each([
    ["bytes=0-0", 0, 0],
    ["bytes=5-4999", 5, 4999],
    ["bytes=9000-", 9000, 9999],
    ["bytes=9000-20000", 9000, 9999],
    ["bytes=-7", 9993, 9999],
    ["bytes=0-", 0, 9999],
  ])("in part, %s", async (range, start, end) => {
    const answer = await registry.get(registry.blobUrl, { range });
    expect(answer.statusCode).toBe(206);
    expect(answer.rawPayload.equals(registry.image.layerBytes.subarray(start, end + 1))).toBe(true);
    expect(answer.headers).toMatchObject({
      "content-range": `bytes ${start}-${end}/10000`,
      "content-length": String(end - start + 1),
      "content-type": "application/octet-stream",
      "docker-content-digest": registry.image.layer.digest,
      "accept-ranges": "bytes",
    });
  });

  test.each(["bytes=0-1,5-6", "items=0-1", "bytes=5-1", "nonsense"])("is whole for %s", async (range) => {
    const answer = await registry.get(registry.blobUrl, { range });
    expect(answer.statusCode).toBe(200);
    expect(answer.headers["content-range"]).toBeUndefined();
    expect(answer.rawPayload.length).toBe(10_000);
  });

  test.each(["bytes=10000-", "bytes=-0"])("has nothing at %s", async (range) => {
    const answer = await registry.get(registry.blobUrl, { range });
    expect(answer.statusCode).toBe(416);
    expect(answer.headers).toMatchObject({
      "content-range": "bytes */10000",
      "content-type": "application/json",
      "docker-content-digest": registry.image.layer.digest,
    });
    expect(errorOf(answer)).toMatchObject({ code: "SIZE_INVALID", detail: { size: 10_000 } });
  });

  test("If-Range decides whether a range counts", async () => {
    const range = "bytes=0-1";
    const ask = async (condition: string) =>
      (await registry.get(registry.blobUrl, { range, "if-range": condition })).statusCode;
    expect(await ask(`"${registry.image.layer.digest}"`)).toBe(206);
    expect(await ask(`"${absent}"`)).toBe(200);
    expect(await ask(`W/"${registry.image.layer.digest}"`)).toBe(200);
    expect(await ask("Thu, 01 Jan 1970 00:00:01 GMT")).toBe(200);
  });

  test("that cannot be read from the first byte on is an error in words", async () => {
    registry.image.images.overrides.blob = async () =>
      registry.image.images.open(
        10,
        () =>
          new Readable({
            read() {
              this.destroy(cacheUnavailable("disk", "x", "broken"));
            },
          }),
      );
    const answer = await registry.get(registry.blobUrl);
    expect(answer.statusCode).toBe(503);
    expect(answer.headers["retry-after"]).toBe("10");
    expect(answer.headers["content-range"]).toBeUndefined();
    expect(errorOf(answer).code).toBe("UNAVAILABLE");
  });

  test("that is too short in its first chunk already is an error in words", async () => {
    registry.image.images.overrides.blob = async () =>
      registry.image.images.open(10, () => Readable.from([Buffer.alloc(9)]));
    const answer = await registry.get(registry.blobUrl);
    expect(answer.statusCode).toBe(500);
    expect(errorOf(answer).code).toBe("UNKNOWN");
  });
});
