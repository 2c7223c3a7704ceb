import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { storeHash } from "../../src/nix/store-path.ts";
import { createAuthority, issueServerCertificate } from "../../src/webhook/tls/authority.ts";
import { CacheServer } from "./cache-server.ts";
import { cacheFiles, directoryNar, pathOf } from "./fake-store.ts";
import { failureOf, resolverOf } from "./fixture.ts";
import { openNar } from "../../src/resolver/open-nar.ts";
import { TestClock } from "./test-clock.ts";

const path = pathOf("app");
const files = cacheFiles([[path]]);
const trusted = getCACertificates("default");
let server: Server;
let redirect: string | undefined;

beforeAll(async () => {
  const now = new Date();
  const authority = await createAuthority({ commonName: "resolver test", days: 1, now });
  const names = { dnsNames: ["localhost"], ipAddresses: [] };
  const { certificatePem, keyPem } = await issueServerCertificate(authority, { ...names, days: 1, now });
  setDefaultCACertificates([...trusted, authority.certificatePem]);
  server = createServer({ cert: certificatePem, key: keyPem }, (request, response) => {
    const file = files.get((request.url ?? "").slice(1));
    if (redirect !== undefined) response.writeHead(302, { location: redirect }).end();
    else response.writeHead(file === undefined ? 404 : 200).end(file);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});

afterAll(() => {
  setDefaultCACertificates(trusted);
  server.closeAllConnections();
  server.close();
});

function url(host: string): string {
  return `https://${host}:${(server.address() as AddressInfo).port}`;
}

describe("over TLS", () => {
  test("a closure, types and NARs are had from a cache whose certificate is trusted", async () => {
    redirect = undefined;
    const resolver = resolverOf(url("localhost"));
    expect((await resolver.resolve("main", [path])).paths).toHaveLength(1);
    expect((await resolver.pathTypes("main", [path])).get(path)).toBe("directory");
    const [location] = await resolver.narLocations("main", path);
    expect(Buffer.concat(await (await openNar(location!)).toArray())).toEqual(directoryNar);
  });

  test("a certificate for another name is refused, in words", async () => {
    redirect = undefined;
    const error = await failureOf(
      resolverOf(url("127.0.0.1"), { clock: new TestClock() }).resolve("main", [path]),
    );
    expect(error.code).toBe("CACHE_UNAVAILABLE");
    expect(error.message).toContain("ERR_TLS_CERT_ALTNAME_INVALID");
  });

  test("a redirect of a NAR to plain HTTP is refused before anything is sent", async () => {
    const plain = await CacheServer.start(files);
    redirect = undefined;
    const [location] = await resolverOf(url("localhost")).narLocations("main", path);
    redirect = `${plain.url}/${storeHash(path)}.nar`;
    const error = await failureOf(openNar(location!));
    expect(error.code).toBe("CACHE_LEADS_AWAY");
    expect(error.message).toContain("it goes from https to http");
    expect(plain.requests).toEqual([]);
  });

  test("a redirect to plain HTTP is refused before anything is sent", async () => {
    const plain = await CacheServer.start(files);
    redirect = `${plain.url}/${storeHash(path)}.narinfo`;
    const error = await failureOf(resolverOf(url("localhost")).resolve("main", [path]));
    expect(error.code).toBe("CACHE_LEADS_AWAY");
    expect(error.message).toContain("it goes from https to http");
    expect(plain.requests).toEqual([]);
  });
});
