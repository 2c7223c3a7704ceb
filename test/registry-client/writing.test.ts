import fc from "fast-check";
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { sha256Digest } from "../../src/oci/digest.ts";
import { TestClock } from "../resolver/test-clock.ts";
import { blobOf, failureOf, manifestOf, repositoryOf } from "./fixture.ts";
import { bodyOf, breakAfter, refuse, RegistryServer, withStatus } from "./registry-server.ts";

const begin = "POST /v2/team/app/blobs/uploads/";
const upload = (method: string, number = 1): string =>
  `${method} /v2/team/app/blobs/uploads/upload-${number}`;
const mebi = 1024 * 1024;

describe("a manifest", () => {
  test("is written with its media type", async () => {
    const server = await RegistryServer.start();
    const manifest = manifestOf("one");
    await repositoryOf(server).putManifest("1.0", manifest);
    expect(server.manifests.get("team/app:1.0")).toEqual({
      type: manifest.mediaType,
      bytes: Buffer.from(manifest.bytes),
    });
    expect(server.calls).toEqual(["PUT /v2/team/app/manifests/1.0"]);
  });

  test("is written again after a broken connection", async () => {
    const server = await RegistryServer.start();
    server.fail(/^PUT/, breakAfter(5));
    await repositoryOf(server).putManifest("1.0", manifestOf("one"));
    expect(server.manifests.has("team/app:1.0")).toBe(true);
  });

  test("that the registry stores under another digest is an error", async () => {
    const server = await RegistryServer.start();
    const manifest = manifestOf("one");
    const other = manifestOf("two").digest;
    server.fail(/^PUT/, withStatus(201, { "docker-content-digest": other }));
    const error = await failureOf(repositoryOf(server).putManifest("1.0", manifest));
    expect(error.code).toBe("REGISTRY_INVALID_ANSWER");
    expect(error.message).toContain(`it says that it stored ${other} instead of ${manifest.digest}`);
  });

  test("is not written under another manifest's digest", async () => {
    const server = await RegistryServer.start();
    const error = await failureOf(
      repositoryOf(server).putManifest(manifestOf("two").digest, manifestOf("one")),
    );
    expect(error.code).toBe("REFERENCE_INVALID");
    expect(server.requests).toEqual([]);
  });

  test.for([
    [400, "MANIFEST_BLOB_UNKNOWN", "REGISTRY_REFUSED"],
    [404, "NAME_UNKNOWN", "REPOSITORY_UNKNOWN"],
    [405, "UNSUPPORTED", "REGISTRY_REFUSED"],
    [412, "PRECONDITION", "REGISTRY_REFUSED"],
  ] as const)("that is refused with %s %s is not tried again", async ([status, code, expected]) => {
    const server = await RegistryServer.start();
    server.fail(/^PUT/, ({ response }) => refuse(response, status, code, "because"), 9);
    const error = await failureOf(repositoryOf(server).putManifest("1.0", manifestOf("one")));
    expect(error.code).toBe(expected);
    expect(error.message).toContain(`HTTP ${status}, ${code}: "because"`);
    expect(server.requests).toHaveLength(1);
  });
});

describe("a mount", () => {
  const blob = blobOf(100);

  test("needs no bytes", async () => {
    const server = await RegistryServer.start();
    server.blobs.set(`base/os@${blob.digest}`, blob.bytes);
    expect(await repositoryOf(server).mountBlob(blob.digest, "base/os")).toBe(true);
    expect(server.blobs.get(`team/app@${blob.digest}`)).toEqual(blob.bytes);
    expect(server.requests[0]?.path).toBe(
      `/v2/team/app/blobs/uploads/?mount=${encodeURIComponent(blob.digest)}&from=base%2Fos`,
    );
  });

  test("that the registry answers with an upload is one: it is used for the blob", async () => {
    const server = await RegistryServer.start();
    const repository = repositoryOf(server);
    expect(await repository.mountBlob(blob.digest, "base")).toBe(false);
    await repository.putBlob(blob);
    await repository.putBlob(blobOf(50));
    expect(server.calls).toEqual([begin, upload("PUT"), begin, upload("PUT", 2)]);
  });

  test("whose upload is forgotten meanwhile costs another one", async () => {
    const server = await RegistryServer.start();
    const repository = repositoryOf(server);
    await repository.mountBlob(blob.digest, "base");
    server.uploads.clear();
    await repository.putBlob(blob);
    expect(server.blobs.has(`team/app@${blob.digest}`)).toBe(true);
  });

  test.for([400, 403, 404, 405, 409, 500, 502])("may fail with HTTP %s", async (status) => {
    const server = await RegistryServer.start();
    server.fail(/^POST/, status);
    const repository = repositoryOf(server);
    expect(await repository.mountBlob(blob.digest, "base")).toBe(false);
    expect(server.requests).toHaveLength(1);
  });

  test.for([429, 503])("is tried again after HTTP %s", async (status) => {
    const server = await RegistryServer.start();
    server.blobs.set(`base@${blob.digest}`, blob.bytes);
    server.fail(/^POST/, status, 2);
    expect(await repositoryOf(server).mountBlob(blob.digest, "base")).toBe(true);
  });
});

describe("a blob", () => {
  test.for([0, 1, 9_999, 10_000, 3_000_000])("of %s bytes is sent in one request", async (size) => {
    const server = await RegistryServer.start();
    const blob = blobOf(size);
    const progress: number[] = [];
    await repositoryOf(server).putBlob(blob, (bytes) => progress.push(bytes));
    expect(server.blobs.get(`team/app@${blob.digest}`)).toEqual(blob.bytes);
    expect(server.calls).toEqual([begin, upload("PUT")]);
    expect(server.requests[1]).toMatchObject({
      path: `/v2/team/app/blobs/uploads/upload-1?_state=upload-1%3D&digest=${encodeURIComponent(blob.digest)}`,
      headers: { "content-length": String(size), "content-type": "application/octet-stream" },
    });
    expect(progress).toEqual(progress.toSorted((a, b) => a - b));
    expect(progress.at(-1)).toBe(size);
  });

  test("goes where the Location is, absolute or not", async () => {
    const server = await RegistryServer.start();
    server.absolute = true;
    const blob = blobOf(10);
    await repositoryOf(server).putBlob(blob);
    expect(server.calls).toEqual([begin, upload("PUT")]);
  });

  test("is sent on from where the connection broke, if the registry knows", async () => {
    const server = await RegistryServer.start();
    const blob = blobOf(500_000);
    const progress: number[] = [];
    server.fail(/^PUT/, breakAfter(123_456));
    await repositoryOf(server).putBlob(blob, (bytes) => progress.push(bytes));
    expect(server.blobs.get(`team/app@${blob.digest}`)).toEqual(blob.bytes);
    expect(server.calls).toEqual([begin, upload("PUT"), upload("GET"), upload("PATCH"), upload("PUT")]);
    expect(server.requests[3]?.headers).toMatchObject({
      "content-range": "123456-499999",
      "content-length": "376544",
    });
    expect(server.requests[4]?.headers["content-length"]).toBe("0");
    expect(blob.reads).toEqual([0, 123_456]);
    expect(progress.at(-1)).toBe(500_000);
  });

  test("may break as often as it goes on in between", async () => {
    const server = await RegistryServer.start();
    const blob = blobOf(500_000);
    server.fail(/^P(?:UT|ATCH)/, breakAfter(20_000), 24);
    await repositoryOf(server).putBlob(blob);
    expect(server.blobs.get(`team/app@${blob.digest}`)).toEqual(blob.bytes);
    expect(blob.reads).toHaveLength(25);
  });

  test("is given up when it does not go on", async () => {
    const server = await RegistryServer.start();
    const blob = blobOf(500_000);
    server.fail(/^P(?:UT|ATCH)/, breakAfter(20_000), 3);
    server.fail(/^P(?:UT|ATCH)/, breakAfter(0), 99);
    const error = await failureOf(repositoryOf(server).putBlob(blob));
    expect(error.code).toBe("REGISTRY_UNAVAILABLE");
    expect(error.message).toContain(`failed when sending the blob ${blob.digest} (`);
    expect(error.message).toContain("8 times in a row");
    expect(blob.reads).toHaveLength(3 + 8);
  });

  test.for<[string, (server: RegistryServer) => void]>([
    ["forgets the upload", (server) => server.uploads.clear()],
    ["knows nothing of GET", (server) => server.fail(/^GET/, 405)],
    ["says that the upload is invalid", (server) => server.fail(/^GET/, 400)],
    ["fails to tell", (server) => server.fail(/^GET/, 500)],
    ["lets nobody see uploads", (server) => server.fail(/^GET/, 403)],
    ["says no Range", (server) => server.fail(/^GET/, withStatus(204, { location: "/x" }))],
    ["has another Range", (server) => server.fail(/^GET/, withStatus(204, { range: "5-9" }))],
    ["has more than there is", (server) => server.fail(/^GET/, withStatus(204, { range: "0-999999" }))],
  ])("is sent anew where the registry %s", async ([, prepare]) => {
    const server = await RegistryServer.start();
    const blob = blobOf(500_000);
    server.fail(/^PUT/, async (call) => {
      prepare(server);
      await breakAfter(100_000)(call);
    });
    await repositoryOf(server).putBlob(blob);
    expect(server.blobs.get(`team/app@${blob.digest}`)).toEqual(blob.bytes);
    expect(blob.reads).toEqual([0, 0]);
  });

  test("is there although the answer was lost", async () => {
    const server = await RegistryServer.start();
    const blob = blobOf(1000);
    server.fail(/^PUT/, async ({ request, url }) => {
      server.blobs.set(`team/app@${url.searchParams.get("digest")}`, await bodyOf(request));
      server.uploads.clear();
      request.socket.destroy();
    });
    await repositoryOf(server).putBlob(blob);
    expect(server.calls).toEqual([
      begin,
      upload("PUT"),
      upload("GET"),
      `HEAD /v2/team/app/blobs/${blob.digest}`,
    ]);
  });

  test.for([
    ["POST", 500],
    ["POST", 429],
    ["PUT", 503],
    ["PUT", 404],
    ["PUT", 416],
    ["PUT", 410],
  ] as const)("is sent again when %s is answered with HTTP %s", async ([method, status]) => {
    const server = await RegistryServer.start();
    const blob = blobOf(100_000);
    server.fail(new RegExp(`^${method}`), status);
    await repositoryOf(server).putBlob(blob);
    expect(server.blobs.get(`team/app@${blob.digest}`)).toEqual(blob.bytes);
  });

  test("is sent again when the registry says that the upload is invalid", async () => {
    const server = await RegistryServer.start();
    const blob = blobOf(100_000);
    server.fail(/^PUT/, async ({ request, response }) => {
      await bodyOf(request);
      refuse(response, 400, "BLOB_UPLOAD_INVALID");
    });
    await repositoryOf(server).putBlob(blob);
    expect(server.blobs.has(`team/app@${blob.digest}`)).toBe(true);
  });

  test.for([
    ["POST", 404, "NAME_UNKNOWN", "REPOSITORY_UNKNOWN"],
    ["POST", 405, "UNSUPPORTED", "REGISTRY_REFUSED"],
    ["PUT", 400, "DIGEST_INVALID", "REGISTRY_REFUSED"],
    ["PUT", 403, "DENIED", "REGISTRY_ACCESS_DENIED"],
    ["PUT", 422, "QUOTA", "REGISTRY_REFUSED"],
  ] as const)(
    "is not sent again when %s is answered with %s %s",
    async ([method, status, code, expected]) => {
      const server = await RegistryServer.start();
      server.fail(
        new RegExp(`^${method}`),
        async ({ request, response }) => {
          await bodyOf(request);
          refuse(response, status, code, "because");
        },
        9,
      );
      const error = await failureOf(repositoryOf(server).putBlob(blobOf(1000)));
      expect(error.code).toBe(expected);
      expect(error.message).toContain(`${code}: "because"`);
      expect(server.calls.filter((call) => call.startsWith(method))).toHaveLength(1);
    },
  );

  test("that the registry stores under another digest is an error", async () => {
    const server = await RegistryServer.start();
    const other = sha256Digest(Buffer.from("other"));
    server.fail(/^PUT/, withStatus(201, { "docker-content-digest": other }));
    const error = await failureOf(repositoryOf(server).putBlob(blobOf(1000)));
    expect(error.code).toBe("REGISTRY_INVALID_ANSWER");
  });

  test("for whose upload there is no place is an error", async () => {
    const server = await RegistryServer.start();
    server.fail(/^POST/, 202);
    const error = await failureOf(repositoryOf(server).putBlob(blobOf(1000)));
    expect(error.message).toContain("HTTP 202 without a Location");
  });

  test("that is answered before it is sent is answered all the same", async () => {
    const server = await RegistryServer.start();
    server.fail(/^PUT/, ({ response }) => refuse(response, 400, "DIGEST_INVALID", "early"));
    const error = await failureOf(repositoryOf(server).putBlob(blobOf(5_000_000)));
    expect(error.message).toContain("early");
  });
});

describe("the source of a blob", () => {
  test("fails with its own error, at once", async () => {
    const server = await RegistryServer.start();
    const failure = new Error("the disk is gone");
    const read = (): Readable =>
      Readable.from(
        (async function* () {
          yield Buffer.alloc(1000);
          throw failure;
        })(),
        { objectMode: false },
      );
    const { digest, size } = blobOf(5000);
    await expect(repositoryOf(server).putBlob({ digest, size, read })).rejects.toBe(failure);
    const broken = (): Readable => {
      throw failure;
    };
    await expect(repositoryOf(server).putBlob({ digest, size, read: broken })).rejects.toBe(failure);
  });

  test("that is too short is an error", async () => {
    const server = await RegistryServer.start();
    await expect(repositoryOf(server).putBlob({ ...blobOf(5000), size: 5001 })).rejects.toThrow(
      "the source of a blob ends 1 bytes before its end",
    );
  });

  test("may take its time", async () => {
    const server = await RegistryServer.start();
    const blob = blobOf(10_000);
    const read = (start: number): Readable =>
      Readable.from(
        (async function* () {
          for (let at = start; at < blob.size; at += 5000) {
            await new Promise((resolve) => setTimeout(resolve, 600));
            yield blob.bytes.subarray(at, at + 5000);
          }
        })(),
        { objectMode: false },
      );
    const timeouts = { connect: 200, headers: 250, commit: 250, stall: 450 };
    const repository = repositoryOf(server, { timeouts, retries: { attempts: 1 } });
    await repository.putBlob({ ...blob, read });
    expect(server.blobs.get(`team/app@${blob.digest}`)).toEqual(blob.bytes);
  });

  test("is closed while it is waited for", async () => {
    const server = await RegistryServer.start();
    const { digest, size } = blobOf(5000);
    const controller = new AbortController();
    const never = new Readable({
      read: () => void setTimeout(() => controller.abort(new Error("stopped")), 20),
    });
    const sending = repositoryOf(server).putBlob(
      { digest, size, read: () => never },
      undefined,
      controller.signal,
    );
    await expect(sending).rejects.toThrow("stopped");
    expect(never.destroyed).toBe(true);
  });

  test("is closed, whatever happens", async () => {
    const server = await RegistryServer.start();
    server.fail(/^PUT/, breakAfter(1000));
    server.fail(/^PATCH/, 500);
    const blob = blobOf(500_000);
    const streams: Readable[] = [];
    const read = (start: number): Readable => {
      const stream = blob.read(start);
      streams.push(stream);
      return stream;
    };
    await repositoryOf(server).putBlob({ ...blob, read });
    expect(streams.length).toBeGreaterThan(1);
    expect(streams.every(({ destroyed }) => destroyed)).toBe(true);
  });
});

describe("pieces", () => {
  /** A registry behind a proxy that takes requests of so many bytes. */
  async function withLimit(limit: number): Promise<RegistryServer> {
    const server = await RegistryServer.start();
    server.fail(
      /^P/,
      async ({ request, response }) => {
        if (Number(request.headers["content-length"]) > limit) {
          request.resume();
          response.writeHead(413, { connection: "close" }).end("<html>");
        }
      },
      Infinity,
    );
    return server;
  }

  test("are what a proxy takes", async () => {
    const server = await withLimit(2 * mebi);
    const repository = repositoryOf(server);
    const blob = blobOf(5 * mebi);
    await repository.putBlob(blob);
    expect(server.blobs.get(`team/app@${blob.digest}`)?.equals(blob.bytes)).toBe(true);
    const before = server.requests.length;
    const second = blobOf(3 * mebi, 2);
    await repository.putBlob(second);
    expect(server.blobs.get(`team/app@${second.digest}`)?.equals(second.bytes)).toBe(true);
    // The second one goes through without finding out again.
    expect(server.calls.slice(before)).toEqual([
      begin,
      upload("PATCH", 2),
      upload("PATCH", 2),
      upload("PATCH", 2),
      upload("PUT", 2),
    ]);
  });

  test("are not smaller than the registry wants", async () => {
    const server = await withLimit(4 * mebi);
    server.minPiece = 3 * mebi;
    const blob = blobOf(7 * mebi);
    await repositoryOf(server).putBlob(blob);
    const sizes = server.requests
      .filter(({ method, status }) => method === "PATCH" && status === 202)
      .map(({ headers }) => Number(headers["content-length"]));
    expect(Math.min(...sizes.slice(0, -1))).toBeGreaterThanOrEqual(3 * mebi);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(7 * mebi);
  });

  test.for([
    ["than the registry wants", mebi, 3 * mebi],
    ["than a megabyte", mebi / 2, 0],
  ] as const)("are not made smaller %s", async ([, limit, minPiece]) => {
    const server = await withLimit(limit);
    if (minPiece > 0) server.minPiece = minPiece;
    const error = await failureOf(repositoryOf(server).putBlob(blobOf(5 * mebi)));
    expect(error.code).toBe("REGISTRY_REFUSED");
    expect(error.message).toContain("HTTP 413");
  });

  test("of which the registry keeps a part are sent on from there", async () => {
    const server = await RegistryServer.start();
    const blob = blobOf(500_000);
    server.fail(/^PUT/, breakAfter(100_000));
    server.fail(/^PATCH/, async ({ request, response, upload: { bytes } = { bytes: Buffer.alloc(0) } }) => {
      const kept = (await bodyOf(request)).subarray(0, 50_000);
      server.uploads.set("upload-1", { repository: "team/app", bytes: Buffer.concat([bytes, kept]) });
      response.writeHead(202, { range: "0-149999" }).end();
    });
    await repositoryOf(server).putBlob(blob);
    expect(server.blobs.get(`team/app@${blob.digest}`)).toEqual(blob.bytes);
    expect(blob.reads).toEqual([0, 100_000, 150_000]);
  });

  test.for([
    ["416", 416],
    ["404", 404],
    ["400", 400],
    ["405", 405],
    ["500", 500],
  ] as const)("that are answered with %s do not end the push", async ([, status]) => {
    const server = await RegistryServer.start();
    const blob = blobOf(500_000);
    server.fail(/^PUT/, breakAfter(100_000));
    server.fail(/^PATCH/, status);
    await repositoryOf(server).putBlob(blob);
    expect(server.blobs.get(`team/app@${blob.digest}`)).toEqual(blob.bytes);
  });

  test("are given up where the registry makes another blob of them", async () => {
    const server = await RegistryServer.start();
    const blob = blobOf(500_000);
    server.fail(/^PUT/, breakAfter(100_000));
    server.fail(/^PATCH/, async ({ request, response }) => {
      await bodyOf(request);
      response.writeHead(202, { range: "0-499999" }).end();
    });
    const repository = repositoryOf(server);
    await repository.putBlob(blob);
    expect(server.blobs.get(`team/app@${blob.digest}`)).toEqual(blob.bytes);
    expect(blob.reads).toEqual([0, 100_000, 0]);
    // Nor for the next blob.
    const second = blobOf(500_000, 2);
    server.fail(/^PUT/, breakAfter(100_000));
    await repository.putBlob(second);
    expect(second.reads).toEqual([0, 0]);
  });

  test("are tried where a whole blob breaks off again and again", async () => {
    const server = await RegistryServer.start();
    const bytes = Buffer.alloc(65 * mebi);
    const read = (start: number): Readable => Readable.from([bytes.subarray(start)], { objectMode: false });
    server.fail(/^GET/, 404, Infinity);
    server.fail(
      /^P/,
      async (call) => {
        if (Number(call.request.headers["content-length"]) > 64 * mebi) await breakAfter(1000)(call);
      },
      Infinity,
    );
    await repositoryOf(server).putBlob({ digest: sha256Digest(bytes), size: bytes.length, read });
    const sizes = server.requests
      .filter(({ method, status }) => method === "PATCH" && status === 202)
      .map(({ headers }) => headers["content-length"]);
    expect(sizes).toEqual([String(64 * mebi), String(mebi)]);
  });
});

test("whatever breaks, what arrives is the blob", async () => {
  const faults = fc.record({
    on: fc.constantFrom(/^POST/, /^PUT/, /^PATCH/, /^GET/, /^HEAD/, /^P/),
    kind: fc.constantFrom("break", "500", "429", "404", "400", "forget"),
    bytes: fc.nat(200_000),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(faults, { maxLength: 6 }), fc.nat(200_000), async (list, size) => {
      const server = await RegistryServer.start();
      const repository = repositoryOf(server, { clock: new TestClock(), retries: { attempts: 20 } });
      for (const { on, kind, bytes } of list) {
        if (kind === "break") server.fail(on, breakAfter(bytes));
        else if (kind === "forget") server.fail(on, () => server.uploads.clear());
        // Only sessions may be answered so: for others it is the last word.
        else server.fail(kind.startsWith("4") && kind !== "429" ? /upload-\d+/ : on, Number(kind));
      }
      const blob = blobOf(size);
      try {
        await repository.putBlob(blob);
      } catch (error) {
        // A PUT of the whole blob that is answered with 400 is refused.
        expect(error).toMatchObject({ code: "REGISTRY_REFUSED" });
        return;
      } finally {
        await repository.close();
        await server.stop();
      }
      expect(server.blobs.get(`team/app@${blob.digest}`)).toEqual(blob.bytes);
    }),
    { numRuns: 100 },
  );
});
