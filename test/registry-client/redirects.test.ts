import { describe, expect, test } from "vitest";
import { always, basicOfMe, blobOf, failureOf, me, repositoryOf } from "./fixture.ts";
import { bodyOf, refuse, RegistryServer, withStatus } from "./registry-server.ts";

const to = (location: string, status = 307) => withStatus(status, { location });

/** A registry that asks for Basic, and its object store. */
async function withStore(): Promise<{ readonly registry: RegistryServer; readonly store: RegistryServer }> {
  const [registry, store] = [await RegistryServer.start(), await RegistryServer.start()];
  registry.authorize = ({ request, response }) => {
    if (request.headers.authorization === basicOfMe) return true;
    request.resume();
    response.setHeader("www-authenticate", "Basic");
    refuse(response, 401, "UNAUTHORIZED");
    return false;
  };
  return { registry, store };
}

describe("a blob on another host", () => {
  test.for([301, 302, 303, 307, 308])("is read after HTTP %s, without the credentials", async (status) => {
    const { registry, store } = await withStore();
    const blob = blobOf(1000);
    const repository = repositoryOf(registry, { credentials: always(me) });
    await repository.headManifest("1");
    registry.fail(/^GET/, to(`${store.origin}/bucket?signature=secret`, status));
    store.fail(/^GET/, ({ response }) => response.end(blob.bytes));
    expect(await repository.getBlob(blob.digest, { maxBytes: 1000 })).toEqual(blob.bytes);
    expect(store.requests).toMatchObject([{ path: "/bucket?signature=secret" }]);
    expect(store.requests[0]?.headers.authorization).toBeUndefined();
  });

  test("is not read when it has other bytes", async () => {
    const { registry, store } = await withStore();
    registry.fail(/^GET/, to(`${store.origin}/bucket`));
    store.fail(/^GET/, ({ response }) => response.end("other"));
    const error = await failureOf(repositoryOf(registry).getBlob(blobOf(1).digest, { maxBytes: 1000 }));
    expect(error.code).toBe("REGISTRY_INVALID_ANSWER");
  });

  test("that refuses is told by its host, and its challenge is nobody's", async () => {
    const { registry, store } = await withStore();
    registry.fail(/^GET/, to(`${store.origin}/bucket?signature=secret`));
    store.fail(/^GET/, withStatus(401, { "www-authenticate": "Basic" }, "<Error>"));
    const repository = repositoryOf(registry, { credentials: always(me) });
    const error = await failureOf(repository.getBlob(blobOf(1).digest, { maxBytes: 1000 }));
    expect(error.code).toBe("REGISTRY_REFUSED");
    expect(error.message).toContain(`: ${store.host}: HTTP 401`);
    expect(error.message).not.toContain("secret");
    expect(store.requests).toHaveLength(1);
  });

  test("that leads back gets no credentials there", async () => {
    const { registry, store } = await withStore();
    const repository = repositoryOf(registry, { credentials: always(me) });
    await repository.headManifest("1");
    registry.fail(/^GET \/v2/, to(`${store.origin}/there`));
    store.fail(/there/, to(`${registry.origin}/back`));
    registry.fail(/back/, ({ response }) => response.end("x"));
    await failureOf(repository.getBlob(blobOf(1).digest, { maxBytes: 1000 }));
    expect(registry.requests.at(-1)).toMatchObject({ path: "/back" });
    expect(registry.requests.at(-1)?.headers.authorization).toBeUndefined();
  });
});

describe("on the registry's own host", () => {
  test("a redirect keeps the credentials, and may be relative", async () => {
    const { registry } = await withStore();
    const repository = repositoryOf(registry, { credentials: always(me) });
    await repository.headManifest("1");
    registry.fail(/^GET/, to("../../moved"));
    expect(await repository.getManifest("1")).toBeUndefined();
    expect(registry.requests.at(-1)).toMatchObject({ path: "/v2/team/moved" });
    expect(registry.requests.at(-1)?.headers.authorization).toBe(basicOfMe);
  });

  test.for([
    [307, ["/moved", "/v2/team/app/blobs/uploads/upload-1"]],
    [301, undefined],
    [303, undefined],
  ] as const)("a push after HTTP %s", async ([status, paths]) => {
    const registry = await RegistryServer.start();
    registry.fail(/^POST/, to("/moved", status));
    registry.fail(/moved/, ({ response }) => {
      registry.uploads.set("upload-1", { repository: "team/app", bytes: Buffer.alloc(0) });
      response.writeHead(202, { location: "/v2/team/app/blobs/uploads/upload-1" }).end();
    });
    const pushed = repositoryOf(registry).putBlob(blobOf(10));
    if (paths === undefined) {
      expect((await failureOf(pushed)).message).toContain(`HTTP ${status}`);
    } else {
      await pushed;
      expect(registry.requests.slice(1).map(({ path }) => path.replace(/\?.*/, ""))).toEqual(paths);
    }
  });
});

describe("an upload on another host", () => {
  test("gets the bytes, and no credentials", async () => {
    const { registry, store } = await withStore();
    const repository = repositoryOf(registry, { credentials: always(me) });
    const blob = blobOf(1000);
    let stored: Buffer | undefined;
    await repository.headManifest("1");
    registry.fail(/^POST/, withStatus(202, { location: `${store.origin}/put?signature=a%2Bb&x` }));
    store.fail(/^PUT/, async ({ request, response }) => {
      stored = await bodyOf(request);
      response.writeHead(201).end();
    });
    await repository.putBlob(blob);
    expect(stored).toEqual(blob.bytes);
    expect(store.requests[0]?.path).toBe(`/put?signature=a%2Bb&x&digest=${encodeURIComponent(blob.digest)}`);
    expect(store.requests[0]?.headers.authorization).toBeUndefined();
  });

  test("is begun anew when it breaks there", async () => {
    const { registry, store } = await withStore();
    const repository = repositoryOf(registry, { credentials: always(me) });
    const blob = blobOf(1000);
    await repository.headManifest("1");
    registry.fail(/^POST/, withStatus(202, { location: `${store.origin}/put` }));
    store.fail(/^PUT/, ({ request }) => void request.socket.destroy());
    store.fail(/^GET/, 403);
    await repository.putBlob(blob);
    expect(registry.blobs.has(`team/app@${blob.digest}`)).toBe(true);
  });
});

describe("where a registry may not lead", () => {
  test.for([
    ["nowhere", "http://", "it is not a URL"],
    ["to a file", "file:///etc/passwd", "it is neither http nor https"],
    ["with credentials", "http://me:secret@example.com/x", "it holds credentials"],
    ["to a cloud's metadata", "http://169.254.169.254/latest?x=secret", "it is a link-local address"],
    ["without TLS to another machine", "http://store.example/x?x=secret", "it is HTTP without TLS"],
  ] as const)("%s", async ([, location, words]) => {
    const registry = await RegistryServer.start();
    registry.fail(/./, to(location));
    const error = await failureOf(repositoryOf(registry).getManifest("1"));
    expect(error.code).toBe("REGISTRY_LEADS_AWAY");
    expect(error.message).toContain(words);
    expect(error.message).not.toContain("secret");
  });

  test("to a name that has such an address", async () => {
    const registry = await RegistryServer.start();
    registry.fail(/./, to("http://metadata.example/"));
    const repository = repositoryOf(registry, {
      plainHttp: true,
      lookup: (_name, _options, callback) => callback(null, [{ address: "169.254.169.254", family: 4 }]),
    });
    const error = await failureOf(repository.getManifest("1"));
    expect(error.code).toBe("REGISTRY_LEADS_AWAY");
    expect(error.message).toContain("its address 169.254.169.254 is a link-local address");
  });

  test("in a circle, and for ever", async () => {
    const registry = await RegistryServer.start();
    registry.fail(/./, to("/v2/team/app/manifests/1"));
    const circle = await failureOf(repositoryOf(registry).getManifest("1"));
    expect(circle.message).toContain("the redirects go in a circle");
    registry.fail(
      /./,
      ({ response, url }) => response.writeHead(302, { location: `${url.pathname}x` }).end(),
      99,
    );
    const long = await failureOf(repositoryOf(registry).getManifest("1"));
    expect(long.message).toContain("that is more than 5 redirects in a row");
  });

  test("without saying where", async () => {
    const registry = await RegistryServer.start();
    registry.fail(/./, 307);
    const error = await failureOf(repositoryOf(registry).getManifest("1"));
    expect(error.code).toBe("REGISTRY_INVALID_ANSWER");
  });
});
