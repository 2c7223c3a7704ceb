import { describe, expect, test } from "vitest";

import { digestHex } from "../../src/oci/digest.ts";
import { absent, base, errorOf, useRegistry } from "./registry-fixture.ts";

const registry = useRegistry();

describe("a manifest", () => {
  const documents = () =>
    [
      ["/manifests/1", registry.image.index],
      ["/manifests/1?ns=docker.io", registry.image.index],
      [`/manifests/${registry.image.index.digest}`, registry.image.index],
      [`/manifests/${registry.image.index.digest.replace(":", "%3A")}`, registry.image.index],
      [`/manifests/${registry.image.manifest.digest}`, registry.image.manifest],
    ] as const;

  test("is the same by tag and by digest, with GET and HEAD", async () => {
    for (const [path, document] of documents()) {
      const answer = await registry.get(base + path);
      expect(answer.statusCode).toBe(200);
      expect(answer.rawPayload.equals(document.bytes)).toBe(true);
      const headers = {
        "content-type": document.mediaType,
        "content-length": String(document.bytes.length),
        "docker-content-digest": document.digest,
        "docker-distribution-api-version": "registry/2.0",
        "x-content-type-options": "nosniff",
        etag: `"${document.digest}"`,
      };
      expect(answer.headers).toMatchObject(headers);
      const heading = await registry.head(base + path);
      expect(heading).toMatchObject({ statusCode: 200, body: "" });
      expect(heading.headers).toMatchObject(headers);
    }
  });

  test("that the client has is not sent again", async () => {
    for (const [path, document] of documents()) {
      for (const ask of [registry.get, registry.head]) {
        const answer = await ask(base + path, { "if-none-match": `"x", W/"${document.digest}"` });
        expect(answer).toMatchObject({ statusCode: 304, body: "" });
        expect(answer.headers).toMatchObject({
          etag: `"${document.digest}"`,
          "docker-content-digest": document.digest,
        });
        expect((await ask(base + path, { "if-none-match": "*" })).statusCode).toBe(304);
        expect((await ask(base + path, { "if-none-match": `"${absent}"` })).statusCode).toBe(200);
      }
    }
  });

  test("is asked for with a signal that aborts when the client goes", async () => {
    let given: AbortSignal | undefined;
    registry.image.images.overrides.resolveTag = async (_repository, _tag, signal) => {
      given = signal;
      return registry.image.index;
    };
    await registry.get(`${base}/manifests/1`);
    expect(given?.aborted).toBe(false);
  });

  test("is not looked for in another repository", async () => {
    const answer = await registry.get(`/v2/other/manifests/${registry.image.manifest.digest}`);
    expect(answer.statusCode).toBe(404);
    expect(errorOf(answer).code).toBe("MANIFEST_UNKNOWN");
  });
});

test("the digest in an answer is that of its bytes", async () => {
  const answer = await registry.get(`${base}/manifests/${registry.image.manifest.digest}`);
  const hash = await crypto.subtle.digest("SHA-256", answer.rawPayload);
  expect(Buffer.from(hash).toString("hex")).toBe(digestHex(registry.image.manifest.digest));
});
