import { getEventListeners } from "node:events";
import { createServer } from "node:net";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { RegistryRequest } from "../../src/registry-client/observer.ts";
import { repositoryEndpoint } from "../../src/registry-client/registry-address.ts";
import { createAuthority, issueServerCertificate } from "../../src/webhook/tls/authority.ts";
import { TestClock } from "../resolver/test-clock.ts";
import { always, blobOf, failureOf, me, repositoryOf, temporaryDirectory } from "./fixture.ts";
import { breakAfter, RegistryServer, withStatus } from "./registry-server.ts";
import { TokenService } from "./token-service.ts";

describe("the address of the API", () => {
  test.for<[string, string, { plainHttp?: boolean; caFile?: string }, string]>([
    ["registry.example.com", "a", {}, "https://registry.example.com a"],
    ["registry.example.com:5000", "a/b", {}, "https://registry.example.com:5000 a/b"],
    ["registry.example.com", "a", { plainHttp: true }, "http://registry.example.com a"],
    ["docker.io", "team/app", {}, "https://registry-1.docker.io team/app"],
    ["index.docker.io", "app", { plainHttp: true }, "https://registry-1.docker.io library/app"],
    ["localhost", "a", {}, "http://localhost a"],
    ["localhost:5000", "a", {}, "http://localhost:5000 a"],
    ["127.0.0.1:5000", "a", {}, "http://127.0.0.1:5000 a"],
    ["127.1.2.3:5000", "a", {}, "http://127.1.2.3:5000 a"],
    ["[::1]:5000", "a", {}, "http://[::1]:5000 a"],
    ["localhost:5000", "a", { plainHttp: false }, "https://localhost:5000 a"],
    ["localhost:5000", "a", { caFile: "/ca.pem" }, "https://localhost:5000 a"],
    ["localhost:5000", "a", { caFile: "/ca.pem", plainHttp: true }, "http://localhost:5000 a"],
    ["localhost.example.com", "a", {}, "https://localhost.example.com a"],
    ["10.0.0.1:5000", "a", {}, "https://10.0.0.1:5000 a"],
  ])("of %s/%s with %j is %s", ([host, repository, options, expected]) => {
    const endpoint = repositoryEndpoint({ host, repository }, options);
    expect(`${endpoint.origin} ${endpoint.repository}`).toBe(expected);
    expect(endpoint.name).toBe(`${host}/${repository}`);
  });

  test("is none for what is no reference", () => {
    expect(() => repositoryEndpoint({ host: "x", repository: "y" }, {})).toThrow("names no registry host");
    expect(() => repositoryEndpoint({ host: "a.b", repository: "Y" }, {})).toThrow("upper-case");
  });
});

describe("TLS", () => {
  let pair: { readonly cert: string; readonly key: string };
  let ca: string;
  let otherCa: string;

  beforeAll(async () => {
    const now = new Date();
    const authority = await createAuthority({ commonName: "one", days: 1, now });
    const names = { dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] };
    const issued = await issueServerCertificate(authority, { ...names, days: 1, now });
    pair = { cert: issued.certificatePem, key: issued.keyPem };
    ca = authority.certificatePem;
    otherCa = (await createAuthority({ commonName: "two", days: 1, now })).certificatePem;
  });

  async function fileOf(text: string): Promise<string> {
    const file = join(await temporaryDirectory(), "ca.pem");
    await writeFile(file, text);
    return file;
  }

  test("is spoken with the authorities of a file", async () => {
    const server = await RegistryServer.start(pair);
    const caFile = await fileOf(`the first\n${otherCa}\n\nthe second\n${ca}`);
    expect(await repositoryOf(server, { caFile }).getManifest("1")).toBeUndefined();
    expect(server.requests).toHaveLength(1);
  });

  test.for([
    ["without a file", undefined],
    ["with another authority", "other"],
  ] as const)("is refused %s, at once and in words", async ([, kind]) => {
    const server = await RegistryServer.start(pair);
    const options = kind === undefined ? { plainHttp: false } : { caFile: await fileOf(otherCa) };
    const clock = new TestClock();
    const error = await failureOf(repositoryOf(server, { ...options, clock }).getManifest("1"));
    expect(error.code).toBe("REGISTRY_UNAVAILABLE");
    expect(error.message).toContain("its certificate is not accepted: ");
    expect(error.message).toContain("is its authority's certificate in the CA file?");
    expect(clock.pauses).toEqual([]);
  });

  test("is refused for another name", async () => {
    const server = await RegistryServer.start(pair);
    const caFile = await fileOf(ca);
    const host = server.host.replace("127.0.0.1", "127.0.0.2");
    const repository = repositoryOf(host, {
      caFile,
      lookup: (_name, _options, callback) => callback(null, [{ address: "127.0.0.1", family: 4 }]),
    });
    expect((await failureOf(repository.getManifest("1"))).code).toBe("REGISTRY_UNAVAILABLE");
  });

  test("takes notice of a file that changes", async () => {
    const server = await RegistryServer.start(pair);
    const caFile = await fileOf(otherCa);
    const repository = repositoryOf(server, { caFile });
    await failureOf(repository.getManifest("1"));
    await writeFile(caFile, ca);
    expect(await repository.getManifest("1")).toBeUndefined();
  });

  test.for([
    ["is not there", undefined, "ENOENT"],
    ["has no certificate", "hello", "it holds no certificate in PEM"],
    ["has a broken one", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "cannot read"],
  ] as const)("needs a file that can be read: one that %s is an error", async ([, text, words]) => {
    const server = await RegistryServer.start(pair);
    const caFile = text === undefined ? "/nowhere/ca.pem" : await fileOf(text);
    const error = await failureOf(repositoryOf(server, { caFile }).getManifest("1"));
    expect(error.code).toBe("FILE_UNREADABLE");
    expect(error.message).toContain(caFile);
    expect(error.message).toContain(words);
  });

  test("is not spoken to a registry without it, nor the other way, and both say so", async () => {
    const [plain, secure] = [await RegistryServer.start(), await RegistryServer.start(pair)];
    const error = await failureOf(repositoryOf(plain, { plainHttp: false }).getManifest("1"));
    expect(error.message).toContain("it does not speak TLS; plain HTTP has to be allowed");
    expect((await failureOf(repositoryOf(secure).getManifest("1"))).code).toBe("REGISTRY_UNAVAILABLE");
  });

  test("is not left: neither by a redirect, nor for an upload, nor for a token", async () => {
    const [server, plain] = [await RegistryServer.start(pair), await RegistryServer.start()];
    const service = await TokenService.start();
    const repository = repositoryOf(server, { caFile: await fileOf(ca), credentials: always(me) });
    server.fail(/^GET/, withStatus(302, { location: `${plain.origin}/x` }));
    const redirected = await failureOf(repository.getManifest("1"));
    expect(redirected.code).toBe("REGISTRY_LEADS_AWAY");
    expect(redirected.message).toContain("it goes from https to http");
    server.fail(/^POST/, withStatus(202, { location: `${plain.origin}/x` }));
    expect((await failureOf(repository.putBlob(blobOf(1)))).code).toBe("REGISTRY_LEADS_AWAY");
    server.authorize = service.authorize;
    expect((await failureOf(repository.headManifest("1"))).code).toBe("REGISTRY_LEADS_AWAY");
    expect([...plain.requests, ...service.calls]).toEqual([]);
  });
});

describe("time", () => {
  const once = { retries: { attempts: 1 } };

  test("for an answer has an end", async () => {
    const server = await RegistryServer.start();
    server.fail(/./, () => new Promise(() => undefined));
    const timeouts = { connect: 50, headers: 50 };
    const error = await failureOf(repositoryOf(server, { timeouts, ...once }).getManifest("1"));
    expect(error.message).toContain("(no whole answer in 0.1 s)");
  });

  test("for a body that drips has an end", async () => {
    const server = await RegistryServer.start();
    server.fail(/./, ({ response }) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write("x"), 10);
      response.once("close", () => clearInterval(timer));
    });
    const error = await failureOf(
      repositoryOf(server, { timeouts: { attempt: 200 }, ...once }).getManifest("1"),
    );
    expect(error.message).toContain("(no whole answer in 0.2 s)");
  });

  test("for a registry that takes no bytes has an end", async () => {
    const server = await RegistryServer.start();
    // Nothing reads the body.
    server.fail(/^PUT/, () => new Promise(() => undefined));
    const timeouts = { stall: 200 };
    const error = await failureOf(repositoryOf(server, { timeouts, ...once }).putBlob(blobOf(20_000_000)));
    expect(error.message).toContain("(it took no byte in 0.2 s)");
  });

  test("for the end of an upload is longer", async () => {
    const server = await RegistryServer.start();
    server.fail(/^PUT/, async () => void (await new Promise((resolve) => setTimeout(resolve, 1500))));
    const timeouts = { connect: 500, headers: 500, stall: 1000, commit: 30_000 };
    const blob = blobOf(1000);
    await repositoryOf(server, { timeouts, ...once }).putBlob(blob);
    expect(server.blobs.has(`team/app@${blob.digest}`)).toBe(true);
  });

  test("for a connection has an end", async () => {
    // It accepts, and never speaks TLS.
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void silent.close());
    const { port } = silent.address() as { port: number };
    const timeouts = { connect: 100 };
    const repository = repositoryOf(`127.0.0.1:${port}`, { plainHttp: false, timeouts, ...once });
    const error = await failureOf(repository.getManifest("1"));
    expect(error.code).toBe("REGISTRY_UNAVAILABLE");
    await repository.close();
  });
});

describe("many requests", () => {
  test("have a bounded number of connections, and lose no time while they wait", async () => {
    const server = await RegistryServer.start();
    let [open, most] = [0, 0];
    server.fail(
      /./,
      async () => {
        most = Math.max(most, ++open);
        await new Promise((resolve) => setTimeout(resolve, 100));
        open--;
      },
      Infinity,
    );
    const timeouts = { connect: 500, headers: 400 };
    const repository = repositoryOf(server, { connections: 3, timeouts, retries: { attempts: 1 } });
    await Promise.all(Array.from({ length: 40 }, (_, index) => repository.headManifest(`t${index}`)));
    expect(most).toBe(3);
  });
});

test("a signal that lives longer than its requests keeps nothing of them", async () => {
  const server = await RegistryServer.start();
  const { signal } = new AbortController();
  const repository = repositoryOf(server, { signal });
  const before = getEventListeners(signal, "abort").length;
  await Promise.all([1, 2, 3].map(async () => repository.getManifest("1", { signal })));
  await repository.putBlob(blobOf(10), undefined, signal);
  expect(getEventListeners(signal, "abort")).toHaveLength(before);
  await repository.close();
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

describe("the observer", () => {
  test("is told of each request with its bytes", async () => {
    const server = await RegistryServer.start();
    const seen: RegistryRequest[] = [];
    const repository = repositoryOf(server, { onRequest: (request) => seen.push(request) });
    const blob = blobOf(100_000);
    server.fail(/^PUT/, breakAfter(60_000));
    await repository.putBlob(blob);
    await repository.getBlob(blob.digest, { maxBytes: 100_000 });
    await repository.headManifest("1");
    const told = seen.map(({ method, kind, status, received }) => [method, kind, status, received]);
    expect(told).toEqual([
      ["POST", "upload", 202, 0],
      ["PUT", "upload", undefined, 0],
      ["GET", "upload", 204, 0],
      ["PATCH", "upload", 202, 0],
      ["PUT", "upload", 201, 0],
      ["GET", "blob", 200, 100_000],
      ["HEAD", "manifest", 404, 0],
    ]);
    expect(seen[1]?.sent).toBeGreaterThanOrEqual(60_000);
    expect(seen[3]?.sent).toBe(40_000);
    expect(seen.every(({ host, seconds }) => host === server.host && seconds >= 0)).toBe(true);
  });

  test("is told of tokens", async () => {
    const [server, service] = [await RegistryServer.start(), await TokenService.start()];
    server.authorize = service.authorize;
    const seen: string[] = [];
    await repositoryOf(server, {
      onRequest: ({ method, kind, status }) => seen.push(`${method} ${kind} ${status}`),
    }).headManifest("1");
    expect(seen).toEqual(["HEAD manifest 401", "GET token 200", "HEAD manifest 404"]);
  });
});
