import { describe, expect, test } from "vitest";

import { cacheUnavailable, pathUntrusted } from "../../src/errors.ts";
import { absent, base, errorOf, useRegistry } from "./registry-fixture.ts";

const registry = useRegistry();

describe("is refused with", () => {
  const long = "a".repeat(256);
  test.each<[string, string, number, string]>([
    ["an unknown manifest", `${base}/manifests/${absent}`, 404, "MANIFEST_UNKNOWN"],
    ["a bad digest of a manifest", `${base}/manifests/sha256:baddigeststring`, 400, "DIGEST_INVALID"],
    ["an unknown algorithm", `${base}/manifests/md5:${"0".repeat(32)}`, 400, "DIGEST_INVALID"],
    ["a manifest by sha512", `${base}/manifests/sha512:${"0".repeat(128)}`, 404, "MANIFEST_UNKNOWN"],
    ["a bad tag", `${base}/manifests/.b`, 404, "MANIFEST_UNKNOWN"],
    ["no tag", `${base}/manifests/`, 404, "MANIFEST_UNKNOWN"],
    ["an over-long tag", `${base}/manifests/${"t".repeat(129)}`, 404, "MANIFEST_UNKNOWN"],
    ["a tag with an encoded slash", `${base}/manifests/..%2f..%2fetc`, 404, "MANIFEST_UNKNOWN"],
    ["an unknown blob", `${base}/blobs/${absent}`, 404, "BLOB_UNKNOWN"],
    ["a blob by sha512", `${base}/blobs/sha512:${"0".repeat(128)}`, 404, "BLOB_UNKNOWN"],
    ["a bad digest of a blob", `${base}/blobs/sha256:baddigeststring`, 400, "DIGEST_INVALID"],
    ["a path for a digest", `${base}/blobs/..%2f..%2fetc%2fpasswd`, 400, "DIGEST_INVALID"],
    ["an over-long digest", `${base}/blobs/sha256:${"0".repeat(5000)}`, 400, "DIGEST_INVALID"],
    ["no digest", `${base}/blobs/`, 400, "DIGEST_INVALID"],
    ["a bad digest of referrers", `${base}/referrers/sha256:baddigeststring`, 400, "DIGEST_INVALID"],
    ["tags of an unknown repository", "/v2/unknown/tags/list", 404, "NAME_UNKNOWN"],
    ["a bad n", `${base}/tags/list?n=-1`, 400, "UNSUPPORTED"],
    ["a word for n", `${base}/tags/list?n=ten`, 400, "UNSUPPORTED"],
    ["a fraction for n", `${base}/tags/list?n=1.5`, 400, "UNSUPPORTED"],
    ["an upper-case name of a manifest", "/v2/Nixos/manifests/1", 400, "NAME_INVALID"],
    ["an upper-case name of a blob", `/v2/Nixos/blobs/${absent}`, 400, "NAME_INVALID"],
    ["an upper-case name of tags", "/v2/Nixos/tags/list", 400, "NAME_INVALID"],
    ["an upper-case name of referrers", `/v2/Nixos/referrers/${absent}`, 400, "NAME_INVALID"],
    ["an empty name", "/v2//manifests/1", 400, "NAME_INVALID"],
    ["an encoded slash in a name", "/v2/a%2fb/manifests/1", 400, "NAME_INVALID"],
    ["an encoded zero byte", "/v2/a%00b/manifests/1", 400, "NAME_INVALID"],
    ["an over-long name", `/v2/${long}/manifests/1`, 400, "NAME_INVALID"],
    ["a very long name", `/v2/${"a/".repeat(4000)}manifests/1`, 400, "NAME_INVALID"],
    ["what is no UTF-8", "/v2/%ff/manifests/1", 400, "NAME_INVALID"],
    ["what cannot be decoded", "/v2/%zz/manifests/1", 400, "NAME_INVALID"],
    ["the catalog", "/v2/_catalog", 404, "UNSUPPORTED"],
    ["a name alone", "/v2/nixos", 404, "UNSUPPORTED"],
    ["an upload's state", `${base}/blobs/uploads/1`, 404, "UNSUPPORTED"],
    ["a list that is none", `${base}/tags/all`, 404, "UNSUPPORTED"],
    ["a noun without a name", "/v2/manifests/1", 404, "UNSUPPORTED"],
  ])("%s", async (_, url, status, code) => {
    const answer = await registry.get(url);
    expect(answer.statusCode).toBe(status);
    const error = errorOf(answer);
    expect(error.code).toBe(code);
    expect(error.message).not.toBe("");
    expect(answer.headers).toMatchObject({
      "content-type": "application/json",
      "docker-distribution-api-version": "registry/2.0",
      "x-content-type-options": "nosniff",
    });
    expect(answer.rawPayload.length).toBeLessThan(1000);
    expect(await registry.head(url)).toMatchObject({ statusCode: status, body: "" });
  });

  test.each<[string, string]>([
    ["POST", `${base}/blobs/uploads/`],
    ["POST", `${base}/blobs/uploads/?mount=${absent}&from=a`],
    ["PATCH", `${base}/blobs/uploads/1`],
    ["PUT", `${base}/blobs/uploads/1?digest=${absent}`],
    ["PUT", `${base}/manifests/1`],
    ["DELETE", `${base}/manifests/1`],
    ["DELETE", `${base}/blobs/${absent}`],
    ["DELETE", "/v2/BAD/blobs/x"],
    ["OPTIONS", "/v2/"],
    ["POST", "/v2/"],
    ["POST", "/v2"],
    ["TRACE", "/v2/a"],
    ["PROPFIND", `${base}/manifests/1`],
  ])("%s %s", async (method, url) => {
    const answer = await registry.ask({
      method,
      url,
      headers: { "content-type": "application/vnd.oci.image.manifest.v1+json" },
      ...(method !== "TRACE" && { payload: "not read" }),
    });
    expect(answer.statusCode).toBe(405);
    expect(answer.headers.allow).toBe("GET, HEAD");
    expect(errorOf(answer)).toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringMatching(/read-only.*nix copy/),
    });
  });
});

describe("an error of Images", () => {
  test("that is temporary says when to come again", async () => {
    const error = cacheUnavailable("https://cache", "x.narinfo", "HTTP 500");
    registry.image.images.overrides.resolveTag = async () => Promise.reject(error);
    const answer = await registry.get(`${base}/manifests/1`);
    expect(answer.statusCode).toBe(503);
    expect(answer.headers["retry-after"]).toBe("10");
    expect(errorOf(answer)).toStrictEqual({
      code: "UNAVAILABLE",
      message: error.message,
      detail: { code: "CACHE_UNAVAILABLE" },
    });
    expect(await registry.head(`${base}/manifests/1`)).toMatchObject({ statusCode: 503, body: "" });
  });

  test("about trust is a denial", async () => {
    registry.image.images.overrides.document = async () =>
      Promise.reject(pathUntrusted("/nix/store/x", "c", "none", []));
    const answer = await registry.get(`${base}/manifests/${absent}`);
    expect(answer.statusCode).toBe(403);
    expect(errorOf(answer)).toMatchObject({ code: "DENIED", detail: { code: "PATH_UNTRUSTED" } });
  });

  test.each(["resolveTag", "document", "blob", "tags"] as const)(
    "in %s that is a bug is not told",
    async (method) => {
      registry.image.images.overrides[method] = async () => Promise.reject(new TypeError("secret of line 7"));
      const urls = {
        resolveTag: `${base}/manifests/1`,
        document: `${base}/manifests/${absent}`,
        blob: `${base}/blobs/${absent}`,
        tags: `${base}/tags/list`,
      };
      const answer = await registry.get(urls[method]);
      expect(answer.statusCode).toBe(500);
      expect(answer.body).not.toMatch(/secret|TypeError|\.ts/);
      expect(errorOf(answer).code).toBe("UNKNOWN");
    },
  );
});
