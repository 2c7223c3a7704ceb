import type { LookupFunction } from "node:net";
import { describe, expect, test } from "vitest";
import type { Login } from "../../src/registry-client/credentials.ts";
import { TestClock } from "../resolver/test-clock.ts";
import { always, basicOfMe, blobOf, failureOf, manifestOf, me, repositoryOf } from "./fixture.ts";
import { type Call, refuse, RegistryServer } from "./registry-server.ts";
import { TokenService } from "./token-service.ts";

const pull = "repository:team/app:pull";
const push = "repository:team/app:pull,push";

function askBasic(expected: string): (call: Call) => boolean {
  return ({ request, response }) => {
    if (request.headers.authorization === expected) return true;
    request.resume();
    response.setHeader("www-authenticate", 'Basic realm="Registry"');
    refuse(response, 401, "UNAUTHORIZED", "authentication required");
    return false;
  };
}

async function withTokens(): Promise<{ readonly server: RegistryServer; readonly service: TokenService }> {
  const [server, service] = [await RegistryServer.start(), await TokenService.start()];
  server.authorize = service.authorize;
  return { server, service };
}

describe("Basic", () => {
  test("credentials are shown after the registry has asked for them, and from then on", async () => {
    const server = await RegistryServer.start();
    server.authorize = askBasic(basicOfMe);
    const repository = repositoryOf(server, { credentials: always(me) });
    await repository.headManifest("1");
    await repository.headManifest("2");
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual([
      undefined,
      basicOfMe,
      basicOfMe,
    ]);
  });

  test("only the first of many requests is refused", async () => {
    const server = await RegistryServer.start();
    server.authorize = askBasic(basicOfMe);
    const repository = repositoryOf(server, { credentials: always(me) });
    await Promise.all(Array.from({ length: 20 }, (_, index) => repository.headManifest(`t${index}`)));
    expect(server.requests.filter(({ status }) => status === 401)).toHaveLength(1);
    expect(server.requests).toHaveLength(21);
  });

  test("credentials that are wrong are tried once", async () => {
    const server = await RegistryServer.start();
    server.authorize = askBasic("another");
    const error = await failureOf(repositoryOf(server, { credentials: always(me) }).getManifest("1"));
    expect(error.toLine()).toBe(
      `${server.host}/team/app denied access when reading the manifest 1 (HTTP 401, UNAUTHORIZED: "authentication required"); it was shown the credentials of the test: are they right, and may they pull from this repository? [REGISTRY_ACCESS_DENIED, see docs/errors.md#registry_access_denied]`,
    );
    expect(server.requests).toHaveLength(2);
    expect(error.toLine()).not.toContain("pässword");
  });

  test("credentials that change are looked up again when the old ones are refused", async () => {
    const server = await RegistryServer.start();
    let password = "old";
    const find = async (): Promise<Login> => ({ kind: "password", user: "me", password, from: "here" });
    const basic = (text: string): string => `Basic ${Buffer.from(`me:${text}`).toString("base64")}`;
    const repository = repositoryOf(server, { credentials: { places: [], find } });
    server.authorize = askBasic(basic("old"));
    await repository.headManifest("1");
    server.authorize = askBasic(basic("new"));
    expect((await failureOf(repository.headManifest("1"))).code).toBe("REGISTRY_ACCESS_DENIED");
    // It was not shown the old ones once more.
    expect(server.requests).toHaveLength(3);
    password = "new";
    await repository.headManifest("1");
    expect(server.requests.at(-1)?.headers.authorization).toBe(basic("new"));
  });

  test("there is no way to show an identity token", async () => {
    const server = await RegistryServer.start();
    server.authorize = askBasic("x");
    const login: Login = { kind: "identity-token", token: "secret", from: "here" };
    const error = await failureOf(repositoryOf(server, { credentials: always(login) }).headManifest("1"));
    expect(error.code).toBe("REGISTRY_ACCESS_DENIED");
    expect(server.requests).toHaveLength(1);
  });
});

describe("without credentials", () => {
  test("the message says where they were looked for, and how to get some", async () => {
    const server = await RegistryServer.start();
    server.authorize = askBasic("x");
    const credentials = { places: ["/a/config.json", "/b/auth.json"], find: async () => undefined };
    const error = await failureOf(repositoryOf(server, { credentials }).headManifest("1"));
    expect(error.message).toContain(
      `; there are no credentials for it in /a/config.json, /b/auth.json; log in with "docker login ${server.host}" or "podman login ${server.host}"`,
    );
    const none = await failureOf(repositoryOf(server).headManifest("1"));
    expect(none.message).toContain("; no credentials are configured for it");
  });

  test.for([
    ["Negotiate", "it asks for negotiate, but only Basic and Bearer are known here"],
    ["Bearer", "it asks for bearer, but"],
    ["", "it does not say how to log in"],
  ] as const)("a registry that asks for %j is not understood", async ([challenge, words]) => {
    const server = await RegistryServer.start();
    server.fail(/./, ({ response }) => {
      if (challenge !== "") response.setHeader("www-authenticate", challenge);
      response.writeHead(401).end();
    });
    const error = await failureOf(repositoryOf(server, { credentials: always(me) }).headManifest("1"));
    expect(error.code).toBe("REGISTRY_ACCESS_DENIED");
    expect(error.message).toContain(words);
  });

  test("access that is forbidden is told with the registry's words", async () => {
    const server = await RegistryServer.start();
    server.fail(/./, ({ response }) => refuse(response, 403, "DENIED", "not in this project"));
    const error = await failureOf(repositoryOf(server).getManifest("1"));
    expect(error.code).toBe("REGISTRY_ACCESS_DENIED");
    expect(error.message).toContain('(HTTP 403, DENIED: "not in this project")');
    expect(server.requests).toHaveLength(1);
  });
});

describe("Bearer", () => {
  test("a token is got with the user's password, and used for all that it is good for", async () => {
    const { server, service } = await withTokens();
    const repository = repositoryOf(server, { credentials: always(me) });
    await repository.headManifest("1");
    await repository.headManifest("2");
    expect(service.calls).toHaveLength(1);
    const [call] = service.calls;
    expect(call).toMatchObject({ method: "GET", authorization: basicOfMe });
    expect([...(call?.fields ?? [])]).toEqual([
      ["of", "it"],
      ["service", "the registry"],
      ["scope", pull],
      ["account", "me"],
    ]);
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual([
      undefined,
      "Bearer token-1",
      "Bearer token-1",
    ]);
  });

  test("a token is got for nobody where there are no credentials", async () => {
    const { server, service } = await withTokens();
    service.field = "access_token";
    await repositoryOf(server).headManifest("1");
    expect(service.calls).toMatchObject([{ method: "GET", authorization: undefined }]);
    expect(service.calls[0]?.fields.has("account")).toBe(false);
  });

  test("an identity token is changed into a token by POST", async () => {
    const { server, service } = await withTokens();
    const login: Login = { kind: "identity-token", token: "refresh & more", from: "here" };
    await repositoryOf(server, { credentials: always(login) }).headManifest("1");
    expect(service.calls).toMatchObject([{ method: "POST", authorization: undefined }]);
    expect(Object.fromEntries(service.calls[0]?.fields ?? [])).toEqual({
      grant_type: "refresh_token",
      service: "the registry",
      client_id: "nix-closure",
      scope: pull,
      refresh_token: "refresh & more",
    });
  });

  test("a token of the registry is shown as it is", async () => {
    const { server, service } = await withTokens();
    server.authorize = (call) =>
      call.request.headers.authorization === "Bearer mine" || service.authorize(call);
    const login: Login = { kind: "registry-token", token: "mine", from: "here" };
    const repository = repositoryOf(server, { credentials: always(login) });
    await repository.headManifest("1");
    await repository.headManifest("1");
    expect(service.calls).toEqual([]);
    expect(server.requests).toHaveLength(3);
    server.authorize = service.authorize;
    expect((await failureOf(repository.headManifest("1"))).code).toBe("REGISTRY_ACCESS_DENIED");
  });

  test("a token that no header can have is not tried again, and not shown", async () => {
    const { server } = await withTokens();
    const login: Login = { kind: "registry-token", token: "sec\nret", from: "here" };
    const clock = new TestClock();
    const reading = repositoryOf(server, { credentials: always(login), clock }).headManifest("1");
    await expect(reading).rejects.toThrow(/^invalid authorization header$/);
    expect(clock.pauses).toEqual([]);
  });

  test("what writes asks for a token of its own, unless all is for writing", async () => {
    const { server, service } = await withTokens();
    const reading = repositoryOf(server);
    await reading.headManifest("1");
    await reading.putManifest("1", manifestOf("1"));
    await reading.headManifest("1");
    expect(service.scopes).toEqual([[pull], [push]]);
    expect(server.requests.filter(({ status }) => status === 401)).toHaveLength(1);
    const writing = repositoryOf(server, { access: "push" });
    await writing.headManifest("1");
    await writing.putManifest("1", manifestOf("1"));
    expect(service.scopes.slice(2)).toEqual([[push]]);
  });

  test("one token is got for many requests at once", async () => {
    const { server, service } = await withTokens();
    const repository = repositoryOf(server);
    await Promise.all(Array.from({ length: 20 }, (_, index) => repository.headManifest(`t${index}`)));
    expect(service.calls).toHaveLength(1);
    service.forget();
    await Promise.all(Array.from({ length: 20 }, (_, index) => repository.headManifest(`t${index}`)));
    expect(service.calls).toHaveLength(2);
  });

  test.for([
    [300, 269_000, 1],
    [300, 271_000, 2],
    [undefined, 53_000, 1],
    [undefined, 55_000, 2],
  ] as const)(
    "a token of %s s is used for less: after %s ms there are %s",
    async ([lifetime, later, calls]) => {
      const { server, service } = await withTokens();
      service.lifetime = lifetime;
      const clock = new TestClock();
      const repository = repositoryOf(server, { clock });
      await repository.headManifest("1");
      clock.advance(later);
      await repository.headManifest("1");
      expect(service.calls).toHaveLength(calls);
      // A new token is got before the old one is refused.
      expect(server.requests.filter(({ status }) => status === 401)).toHaveLength(1);
    },
  );

  test("a token that the registry no longer takes is replaced, in the middle of a push too", async () => {
    const { server, service } = await withTokens();
    const repository = repositoryOf(server);
    const blob = blobOf(100_000);
    await repository.headManifest("1");
    server.fail(/^PUT/, () => service.forget());
    await repository.putBlob(blob);
    expect(server.blobs.get(`team/app@${blob.digest}`)).toEqual(blob.bytes);
  });

  test("a token without the right to what is asked is not tried again and again", async () => {
    const { server, service } = await withTokens();
    service.allow = () => [pull];
    const repository = repositoryOf(server, { access: "push", credentials: always(me) });
    const error = await failureOf(repository.putManifest("1", manifestOf("1")));
    expect(error.code).toBe("REGISTRY_ACCESS_DENIED");
    expect(error.message).toContain("may they push to this repository?");
    expect(service.calls).toHaveLength(1);
    expect(server.requests).toHaveLength(2);
  });

  test("a scope of the registry's own is asked for too", async () => {
    const { server, service } = await withTokens();
    server.fail(/./, ({ response }) => {
      const scope = "repository:team/app:pull registry:catalog:*";
      response.setHeader("www-authenticate", `Bearer realm="${service.url}",scope="${scope}"`);
      response.writeHead(401).end();
    });
    await repositoryOf(server, { access: "push" }).headManifest("1");
    expect(service.scopes).toEqual([[push, "registry:catalog:*"]]);
    expect(service.calls[0]?.fields.has("service")).toBe(false);
  });
});

describe("a token service", () => {
  test.for<[string, number, string, string]>([
    [
      "Docker Hub's words",
      401,
      '{"details":"incorrect username or password"}',
      '"incorrect username or password"',
    ],
    [
      "OAuth's words",
      400,
      '{"error":"invalid_grant","error_description":"expired"}',
      '"invalid_grant", "expired"',
    ],
    ["a registry's words", 403, '{"errors":[{"code":"DENIED","message":"no"}]}', 'DENIED: "no"'],
    ["none", 404, "", "HTTP 404"],
  ])("that gives no token is told with %s", async ([, status, body, words]) => {
    const { server, service } = await withTokens();
    service.answer = (response) => response.writeHead(status).end(body);
    const error = await failureOf(repositoryOf(server, { credentials: always(me) }).headManifest("1"));
    expect(error.code).toBe("REGISTRY_ACCESS_DENIED");
    expect(error.message).toContain(`(its token service: HTTP ${status}`);
    expect(error.message).toContain(words);
    expect(service.calls).toHaveLength(1);
  });

  test.for([
    ["is no JSON", "secret"],
    ["is no object", '"secret"'],
    ["is nothing", "null"],
    ["has no token", '{"secret":"x"}'],
    ["has an empty token", '{"token":""}'],
    ["has a token that is no header", '{"token":"secret\\r\\nx: y"}'],
  ] as const)("whose answer %s is refused without showing it", async ([, body]) => {
    const { server, service } = await withTokens();
    service.answer = (response) => response.end(body);
    const error = await failureOf(repositoryOf(server).headManifest("1"));
    expect(error.code).toBe("REGISTRY_INVALID_ANSWER");
    expect(error.message).not.toContain("secret");
  });

  test("that fails is asked again", async () => {
    const { server, service } = await withTokens();
    service.answer = (response) => {
      service.answer = undefined;
      response.writeHead(503, { "retry-after": "7" }).end();
    };
    const clock = new TestClock();
    await repositoryOf(server, { clock }).headManifest("1");
    expect(clock.pauses).toEqual([7000]);
    expect(service.calls).toHaveLength(2);
  });

  test("on another machine gets no credentials without TLS", async () => {
    const server = await RegistryServer.start();
    server.authorize = ({ request, response }) => {
      request.resume();
      response.setHeader("www-authenticate", 'Bearer realm="http://tokens.example/token"');
      response.writeHead(401).end();
      return false;
    };
    const asked: string[] = [];
    const lookup: LookupFunction = (name, _options, callback) => {
      asked.push(name);
      callback(new Error("no such name"), "", 0);
    };
    const options = { credentials: always(me), lookup, retries: { attempts: 1 } };
    const error = await failureOf(repositoryOf(server, options).headManifest("1"));
    expect(error.code).toBe("REGISTRY_LEADS_AWAY");
    expect(error.message).toContain("plain HTTP has to be allowed");
    expect(asked).toEqual([]);
    // With the flag it is asked, and the name is all that is wrong.
    await failureOf(repositoryOf(server, { ...options, plainHttp: true }).headManifest("1"));
    expect(asked).toEqual(["tokens.example"]);
  });

  test("may redirect, but the credentials stay with it", async () => {
    const [{ server, service }, other] = [await withTokens(), await TokenService.start()];
    service.answer = (response) => response.writeHead(307, { location: other.url }).end();
    server.authorize = ({ request, response }) => {
      if (request.headers.authorization === "Bearer token-1") return true;
      response.setHeader("www-authenticate", `Bearer realm="${service.url}"`);
      response.writeHead(401).end();
      return false;
    };
    await repositoryOf(server, { credentials: always(me) }).headManifest("1");
    expect(other.calls).toMatchObject([{ method: "GET", authorization: undefined }]);
    const login: Login = { kind: "identity-token", token: "secret", from: "here" };
    const error = await failureOf(repositoryOf(server, { credentials: always(login) }).headManifest("1"));
    expect(error.message).toContain("its token service: HTTP 307");
    expect(other.calls).toHaveLength(1);
  });
});

test("a mount asks for the other repository too, and is given up where that is not allowed", async () => {
  const { server, service } = await withTokens();
  const blob = blobOf(10);
  server.blobs.set(`base@${blob.digest}`, blob.bytes);
  const repository = repositoryOf(server, { access: "push" });
  expect(await repository.mountBlob(blob.digest, "base")).toBe(true);
  expect(service.scopes).toEqual([[push, "repository:base:pull"]]);
  service.allow = () => [push];
  expect(await repository.mountBlob(blob.digest, "other")).toBe(false);
  service.answer = (response) => response.writeHead(403).end();
  expect(await repository.mountBlob(blob.digest, "third")).toBe(false);
});
