import { describe, expect, test } from "vitest";
import { parseDigest, sha256Digest } from "../../src/oci/digest.ts";
import { blobOf, failureOf, manifestOf, repositoryOf } from "./fixture.ts";
import { refuse, RegistryServer, withStatus } from "./registry-server.ts";

const manifest = manifestOf("one");
const missing = parseDigest(`sha256:${"0".repeat(64)}`);

async function withManifest(): Promise<RegistryServer> {
  const server = await RegistryServer.start();
  const stored = { type: manifest.mediaType, bytes: Buffer.from(manifest.bytes) };
  server.manifests.set("team/app:1.0", stored);
  server.manifests.set(`team/app@${manifest.digest}`, stored);
  return server;
}

describe("a manifest", () => {
  test.for(["1.0", manifest.digest])("is read by %s", async (reference) => {
    const server = await withManifest();
    expect(await repositoryOf(server).getManifest(reference)).toEqual({
      mediaType: manifest.mediaType,
      digest: manifest.digest,
      bytes: Buffer.from(manifest.bytes),
    });
    expect(server.calls).toEqual([`GET /v2/team/app/manifests/${reference}`]);
    expect(server.requests[0]?.headers).toMatchObject({ "user-agent": "nix-closure" });
    expect(server.requests[0]?.headers.accept).toContain("application/vnd.oci.image.index.v1+json");
  });

  test("that is not there is undefined", async () => {
    const repository = repositoryOf(await RegistryServer.start());
    expect(await repository.getManifest("1.0")).toBeUndefined();
    expect(await repository.getManifest(missing)).toBeUndefined();
    expect(await repository.headManifest("1.0")).toBeUndefined();
  });

  test("is looked for without reading it", async () => {
    const server = await withManifest();
    const size = manifest.bytes.length;
    expect(await repositoryOf(server).headManifest("1.0")).toEqual({ digest: manifest.digest, size });
    expect(server.calls).toEqual(["HEAD /v2/team/app/manifests/1.0"]);
  });

  test.for([
    ["digest", { "content-length": String(manifest.bytes.length) }],
    ["size", { "docker-content-digest": manifest.digest, "transfer-encoding": "chunked" }],
  ] as const)("is read where the registry does not say its %s", async ([, headers]) => {
    const server = await withManifest();
    server.fail(/^HEAD/, withStatus(200, headers));
    const size = manifest.bytes.length;
    expect(await repositoryOf(server).headManifest("1.0")).toEqual({ digest: manifest.digest, size });
    expect(server.calls).toEqual(["HEAD /v2/team/app/manifests/1.0", "GET /v2/team/app/manifests/1.0"]);
  });

  test("has a media type without parameters", async () => {
    const server = await RegistryServer.start();
    server.fail(/./, withStatus(200, { "content-type": "Application/X+json; charset=utf-8" }, "{}"));
    expect((await repositoryOf(server).getManifest("x"))?.mediaType).toBe("application/x+json");
  });

  test("with other bytes than its digest says is refused", async () => {
    const server = await RegistryServer.start();
    server.manifests.set(`team/app@${manifest.digest}`, { type: "x", bytes: Buffer.from("{}") });
    const error = await failureOf(repositoryOf(server).getManifest(manifest.digest));
    expect(error.code).toBe("REGISTRY_INVALID_ANSWER");
    expect(error.message).toBe(
      `${server.host}/team/app gave a wrong answer when reading the manifest ${manifest.digest}: 2 bytes with the digest ${sha256Digest(Buffer.from("{}"))} instead of ${manifest.digest}`,
    );
  });

  test("with other bytes than the header says is refused", async () => {
    const server = await RegistryServer.start();
    server.fail(/./, withStatus(200, { "docker-content-digest": manifest.digest }, "{}"));
    expect((await failureOf(repositoryOf(server).getManifest("1.0"))).code).toBe("REGISTRY_INVALID_ANSWER");
  });

  test.for([
    ["of another algorithm", "sha512:ab"],
    ["that is none", "sha256:ab"],
  ] as const)("may have a digest %s, which is not looked at", async ([, digest]) => {
    const server = await RegistryServer.start();
    server.fail(/./, withStatus(200, { "docker-content-digest": digest }, "{}"));
    expect((await repositoryOf(server).getManifest("1.0"))?.digest).toBe(sha256Digest(Buffer.from("{}")));
  });

  test.for([
    [undefined, 4 * 1024 * 1024, true],
    [undefined, 4 * 1024 * 1024 + 1, false],
    [10, 10, true],
    [10, 11, false],
  ] as const)("with the limit %s may have %s bytes: %s", async ([maxBytes, size, fits]) => {
    const server = await RegistryServer.start();
    server.fail(/./, withStatus(200, {}, "x".repeat(size)));
    const reading = repositoryOf(server).getManifest("1.0", maxBytes === undefined ? {} : { maxBytes });
    if (fits) expect((await reading)?.bytes).toHaveLength(size);
    else expect((await failureOf(reading)).message).toContain("bytes, the limit");
  });

  test.for(["", "-x", "a b", "../x", "sha256:12", "sha512:ab"])(
    "is not asked for by %j",
    async (reference) => {
      const server = await RegistryServer.start();
      const error = await failureOf(repositoryOf(server).getManifest(reference));
      expect(["REFERENCE_INVALID", "DIGEST_INVALID"]).toContain(error.code);
      expect(server.requests).toEqual([]);
    },
  );
});

describe("a blob", () => {
  const blob = blobOf(5000);

  test("is read and looked for", async () => {
    const server = await RegistryServer.start();
    server.blobs.set(`team/app@${blob.digest}`, blob.bytes);
    const repository = repositoryOf(server);
    expect(await repository.getBlob(blob.digest, { maxBytes: 5000 })).toEqual(blob.bytes);
    expect(await repository.headBlob(blob.digest)).toEqual({ size: 5000 });
    expect(await repository.headBlob(missing)).toBeUndefined();
    expect(await repository.getBlob(missing, { maxBytes: 5000 })).toBeUndefined();
  });

  test("has no known size if the registry does not say it", async () => {
    const server = await RegistryServer.start();
    server.fail(/./, withStatus(200, { "transfer-encoding": "chunked" }));
    expect(await repositoryOf(server).headBlob(blob.digest)).toEqual({ size: undefined });
  });

  test("beyond its limit, and one with other bytes, are refused", async () => {
    const server = await RegistryServer.start();
    server.blobs.set(`team/app@${blob.digest}`, blob.bytes);
    server.blobs.set(`team/app@${missing}`, blob.bytes);
    const repository = repositoryOf(server);
    const large = await failureOf(repository.getBlob(blob.digest, { maxBytes: 4999 }));
    expect(large.message).toContain("it has more than 4999 bytes, the limit");
    const wrong = await failureOf(repository.getBlob(missing, { maxBytes: 5000 }));
    expect(wrong.message).toContain(`5000 bytes with the digest ${blob.digest}`);
  });

  test("whose answer breaks off is asked for again", async () => {
    const server = await RegistryServer.start();
    server.blobs.set(`team/app@${blob.digest}`, blob.bytes);
    server.fail(/^GET/, ({ response }) => {
      response.writeHead(200, { "content-length": 5000 }).write(blob.bytes.subarray(0, 100));
      setTimeout(() => response.destroy(), 20);
    });
    expect(await repositoryOf(server).getBlob(blob.digest, { maxBytes: 5000 })).toEqual(blob.bytes);
    expect(server.requests).toHaveLength(2);
  });
});

describe("refusals", () => {
  test.for<[string, number, string, string, string]>([
    [
      "the registry's codes",
      400,
      JSON.stringify({
        errors: [{ code: "NAME_INVALID", message: "bad\nname", detail: "x" }, { code: "B" }],
      }),
      "REGISTRY_REFUSED",
      'HTTP 400, NAME_INVALID: "bad\\nname", "x", B',
    ],
    ["plain words", 405, "not here", "REGISTRY_REFUSED", 'HTTP 405, "not here"'],
    ["a proxy's page", 413, "<html>no</html>", "REGISTRY_REFUSED", "HTTP 413"],
    ["nothing", 451, "", "REGISTRY_REFUSED", "HTTP 451"],
    ["JSON without errors", 400, '{"errors":null}', "REGISTRY_REFUSED", "HTTP 400"],
    ["JSON of another kind", 400, '["x"]', "REGISTRY_REFUSED", "HTTP 400"],
    ["a method that it does not know", 501, "", "REGISTRY_REFUSED", "HTTP 501"],
    ["a redirect without place", 304, "", "REGISTRY_REFUSED", "HTTP 304"],
  ])("are told with %s", async ([, status, body, code, words]) => {
    const server = await RegistryServer.start();
    server.fail(/./, withStatus(status, {}, body));
    const error = await failureOf(repositoryOf(server).getManifest("1.0"));
    expect(error.code).toBe(code);
    expect(error.message.endsWith(`when reading the manifest 1.0: ${words}`)).toBe(true);
    expect(server.requests).toHaveLength(1);
  });

  test("are read only so far", async () => {
    const server = await RegistryServer.start();
    server.fail(/./, withStatus(400, {}, "x".repeat(5_000_000)));
    const error = await failureOf(repositoryOf(server).getManifest("1.0"));
    expect(error.message.length).toBeLessThan(500);
    server.fail(/./, ({ response }) => refuse(response, 404, "MANIFEST_UNKNOWN"));
    expect(await repositoryOf(server).getManifest("1.0")).toBeUndefined();
  });
});
