import { describe, expect, test } from "vitest";
import { parseClosureName } from "../../src/closure-index/closure-name.ts";
import { profileIndex, storeIndex } from "../../src/closure-index/name-document.ts";
import type { NamedImages } from "../../src/closure-index/named-images.ts";
import type { Resolver } from "../../src/resolver/resolver.ts";
import { createSigner } from "../nix/signer.ts";
import { pathOf } from "./fake-store.ts";
import { failureOf, noLimits, resolverOf, resolverWith } from "./fixture.ts";
import { appOf, pushName } from "./named.ts";
import { registrySource } from "./pushed.ts";
import { RegistryServer } from "./registry-server.ts";
import { TestClock } from "./test-clock.ts";

const web = parseClosureName("web-1.2");
const minute = 60_000;

interface Found {
  readonly server: RegistryServer;
  readonly resolver: Resolver;
  readonly clock: TestClock;
  readonly named: NamedImages;
}

/** A resolver that knows the name from before. */
async function known(longestPause?: number): Promise<Found> {
  const server = await RegistryServer.start();
  pushName(server, web, appOf("1"));
  const clock = new TestClock(longestPause);
  const resolver = resolverWith([registrySource(server)], { clock });
  expect(resolver.knownName("main", web)).toBeUndefined();
  const named = await resolver.named("main", web);
  return { server, resolver, clock, named };
}

/** The same when it is too old to be believed. */
async function stale(): Promise<Found> {
  // The wait for an answer is ended by the test; pauses between attempts are shorter.
  const found = await known(1_900);
  const { server, resolver, clock, named } = found;
  clock.advance(minute - 1);
  expect(resolver.knownName("main", web)).toBe(named);
  expect(await resolver.named("main", web)).toBe(named);
  clock.advance(1);
  expect(resolver.knownName("main", web)).toBeUndefined();
  server.requests.length = 0;
  return found;
}

describe("a name", () => {
  test("stands for what was pushed, in three requests, and in none when it is known", async () => {
    const { server, resolver, named } = await known();
    const [index, manifest, document] = server.requests;
    expect(server.requests).toHaveLength(3);
    expect(index).toBe("manifests/web-1.2");
    expect([manifest, document]).toEqual([
      expect.stringMatching(/^manifests\/sha256:/),
      expect.stringMatching(/^blobs\/sha256:/),
    ]);
    expect(named.repository).toBe(server.repository);
    expect(named.document.name).toBe(web);
    expect(
      named.document.closures.map(({ system, root, paths, narSize }) => [system, root, paths, narSize]),
    ).toEqual([
      ["aarch64-linux", pathOf("1-arm-0"), 5, 5000],
      ["x86_64-linux", pathOf("1-intel-0"), 4, 4000],
    ]);
    expect(named.store).toBe(storeIndex(named.document).digest);
    expect(named.profile).toBe(profileIndex(named.document)!.digest);
    expect(await resolver.named("main", web)).toBe(named);
    expect(resolver.knownName("main", web)).toBe(named);
    expect(server.requests).toHaveLength(3);
  });

  test("is asked for once by all who ask at the same time", async () => {
    const server = await RegistryServer.start();
    pushName(server, web, appOf("1"));
    const resolver = resolverWith([registrySource(server)]);
    const all = await Promise.all(Array.from({ length: 20 }, async () => resolver.named("main", web)));
    expect(new Set(all).size).toBe(1);
    expect(server.requests).toHaveLength(3);
  });

  test("has a closure for each system, whose document its signature covers", async () => {
    const { server, resolver, named } = await known();
    const [arm, intel] = named.document.closures;
    const closure = await resolver.namedClosure("main", web, arm!);
    expect(closure.roots).toEqual([pathOf("1-arm-0")]);
    expect(closure.paths.map(({ type }) => type).toSorted()).toEqual([
      ...Array(4).fill("directory"),
      "regular",
    ]);
    expect(closure.narSize).toBe(5000);
    expect((await resolver.namedClosure("main", web, intel!)).roots).toEqual([pathOf("1-intel-0")]);
    expect(server.requests).toHaveLength(5);
    // One system's document in the other one's place.
    const swapped = { ...arm!, document: intel!.document };
    const error = await failureOf(resolver.namedClosure("main", web, swapped));
    expect(error.code).toBe("CLOSURE_INDEX_INVALID");
    expect(error.message).toContain("its closure document for aarch64-linux is of another closure");
    server.blobs.delete(intel!.document.digest);
    expect((await failureOf(resolver.namedClosure("main", web, intel!))).code).toBe("CLOSURE_INCOMPLETE");
  });

  test("that is not there is refused, and asked for again after five seconds", async () => {
    const server = await RegistryServer.start();
    const clock = new TestClock();
    const resolver = resolverWith([registrySource(server)], { clock });
    for (const wait of [0, 0, 4_999]) {
      clock.advance(wait);
      const error = await failureOf(resolver.named("main", web));
      expect([error.code, error.temporary]).toEqual(["NAME_NOT_PUSHED", false]);
      expect(error.message).toContain(`${server.repository} has nothing under the name "web-1.2"`);
    }
    expect(server.requests).toHaveLength(1);
    pushName(server, web, appOf("1"));
    clock.advance(1);
    expect((await resolver.named("main", web)).document.name).toBe(web);
  });

  test("is refused by a source of caches", async () => {
    const resolver = resolverOf("file:///nowhere");
    expect((await failureOf(resolver.named("main", web))).code).toBe("NAME_WITHOUT_REGISTRY");
    expect(resolver.knownName("main", web)).toBeUndefined();
  });

  test("is held to the limits of closures", async () => {
    const server = await RegistryServer.start();
    pushName(server, web, appOf("1"));
    const limited = (limits: object): Resolver =>
      resolverWith([registrySource(server)], { limits: { ...noLimits, ...limits } });
    const many = await failureOf(limited({ maxPaths: 4 }).named("main", web));
    expect([many.code, many.message.includes(pathOf("1-arm-0"))]).toEqual(["CLOSURE_TOO_MANY_PATHS", true]);
    expect((await failureOf(limited({ maxBytes: 4999 }).named("main", web))).code).toBe("CLOSURE_TOO_LARGE");
    await limited({ maxPaths: 5, maxBytes: 5000 }).named("main", web);
  });
});

describe("a name that is known for a minute", () => {
  test("is asked for again, in one request if it stands for the same", async () => {
    const { server, resolver, clock, named } = await stale();
    expect(await resolver.named("main", web)).toBe(named);
    expect(server.requests).toEqual(["manifests/web-1.2"]);
    clock.advance(minute - 1);
    expect(resolver.knownName("main", web)).toBe(named);
  });

  test("stands for what was pushed under it since", async () => {
    const { server, resolver, named } = await stale();
    pushName(server, web, appOf("2"));
    const next = await resolver.named("main", web);
    expect(next.store).not.toBe(named.store);
    expect(next.document.closures.map(({ root }) => root)).toEqual([pathOf("2-arm-0"), pathOf("2-intel-0")]);
    expect(server.requests).toHaveLength(3);
  });

  test("is refused when it is gone, or is not believed any more", async () => {
    const { server, resolver, clock } = await stale();
    pushName(server, web, appOf("2"), [createSigner("evil-1")]);
    expect((await failureOf(resolver.named("main", web))).code).toBe("CLOSURE_UNTRUSTED");
    expect(resolver.knownName("main", web)).toBeUndefined();
    clock.advance(5_000);
    server.manifests.clear();
    expect((await failureOf(resolver.named("main", web))).code).toBe("NAME_NOT_PUSHED");
  });

  test("stands for the same while the registry is down, which is asked every ten seconds", async () => {
    const { server, resolver, clock, named } = await stale();
    const { port } = server;
    await server.stop();
    expect(await resolver.named("main", web)).toBe(named);
    expect(resolver.knownName("main", web)).toBe(named);
    clock.advance(10_000);
    expect(resolver.knownName("main", web)).toBeUndefined();
    expect(await resolver.named("main", web)).toBe(named);
    await server.listen(port);
    pushName(server, web, appOf("2"));
    clock.advance(9_999);
    expect(await resolver.named("main", web)).toBe(named);
    clock.advance(1);
    expect(await resolver.named("main", web)).not.toBe(named);
  });

  test.for([403, 500])("stands for the same while the registry answers %i", async (status) => {
    const { server, resolver, named } = await stale();
    server.answer("*", status);
    expect(await resolver.named("main", web)).toBe(named);
  });

  test("does not make anybody wait for longer than two seconds", async () => {
    const { server, resolver, clock, named } = await stale();
    let answer: (() => void) | undefined;
    const asked = new Promise<void>((resolve) => {
      server.answer("manifests/web-1.2", (response) => {
        answer = () => response.writeHead(404).end();
        resolve();
      });
    });
    const found = resolver.named("main", web);
    await asked;
    clock.advance(2_000);
    expect(await found).toBe(named);
    answer?.();
  });
});
