import * as fc from "fast-check";
import type { InjectOptions } from "fastify";
import { describe, expect, test, vi } from "vitest";

import type { RegistryRequest } from "../../src/registry/observer.ts";
import { absent, base, errorOf, name, useRegistry } from "./registry-fixture.ts";

const registry = useRegistry();

describe("the version check", () => {
  test.each(["/v2/", "/v2", "/v2/?ns=docker.io"])("%s", async (url) => {
    const answer = await registry.get(url);
    expect(answer.statusCode).toBe(200);
    expect(answer.body).toBe("{}");
    expect(answer.headers).toMatchObject({
      "content-type": "application/json",
      "docker-distribution-api-version": "registry/2.0",
      "x-content-type-options": "nosniff",
    });
    expect(await registry.head(url)).toMatchObject({ statusCode: 200, body: "" });
  });
});

test("the observer hears of every request once", async () => {
  const length = registry.image.index.bytes.length;
  const requests: [string, InjectOptions, Omit<RegistryRequest, "seconds" | "bytes"> & { bytes?: number }][] =
    [
      ["GET", { url: "/v2/" }, { kind: "ping", status: 200, bytes: 2 }],
      ["GET", { url: `${base}/manifests/1` }, { kind: "manifest", status: 200, bytes: length }],
      ["HEAD", { url: `${base}/manifests/1` }, { kind: "manifest", status: 200, bytes: 0 }],
      ["GET", { url: `${base}/manifests/${absent}` }, { kind: "manifest", status: 404 }],
      [
        "GET",
        { url: `${base}/blobs/${registry.image.layer.digest}` },
        { kind: "blob", status: 200, bytes: 10_000 },
      ],
      [
        "HEAD",
        { url: `${base}/blobs/${registry.image.layer.digest}` },
        { kind: "blob", status: 200, bytes: 0 },
      ],
      [
        "GET",
        { url: `${base}/blobs/${registry.image.layer.digest}`, headers: { range: "bytes=1-10" } },
        { kind: "blob", status: 206, bytes: 10 },
      ],
      ["GET", { url: `${base}/tags/list` }, { kind: "tags", status: 200 }],
      ["GET", { url: `${base}/referrers/${absent}` }, { kind: "referrers", status: 200 }],
      ["GET", { url: "/v2/_catalog" }, { kind: "other", status: 404 }],
      ["PUT", { url: `${base}/manifests/1` }, { kind: "other", status: 405 }],
      ["GET", { url: "/v2/%zz/manifests/1" }, { kind: "manifest", status: 400 }],
    ];
  for (const [method, options, expected] of requests) {
    registry.observed.length = 0;
    await registry.ask({ ...options, method });
    await vi.waitFor(() => expect(registry.observed).toHaveLength(1));
    expect(registry.observed[0]).toMatchObject(expected);
    expect(registry.observed[0]!.seconds).toBeGreaterThanOrEqual(0);
  }
});

test("a route of its server outside /v2 is not the plug-in's", async () => {
  const answer = await registry.get("/v3/");
  expect(answer.statusCode).toBe(404);
  expect(answer.headers["docker-distribution-api-version"]).toBeUndefined();
});

test("whatever is asked below /v2 is answered in the protocol's format, never with 5xx", async () => {
  const word = fc.constantFrom(
    "manifests",
    "blobs",
    "tags",
    "list",
    "referrers",
    "",
    "%2f",
    "%",
    "a",
    absent,
    name,
  );
  const part = fc.oneof(word, fc.webPath(), fc.string({ maxLength: 20 }).map(encodeURI));
  registry.image.images.overrides.resolveTag = async () => registry.image.index;
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 6 }), async (parts) => {
      const answer = await registry.get(`/v2/${parts.join("/")}`);
      if (answer.statusCode !== 200) errorOf(answer);
      expect(answer.statusCode).toBeLessThan(500);
      expect(answer.headers["docker-distribution-api-version"]).toBe("registry/2.0");
    }),
    { numRuns: 300 },
  );
});
