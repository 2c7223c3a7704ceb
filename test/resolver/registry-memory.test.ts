import { describe, expect, test } from "vitest";
import type { ClosureDocument } from "../../src/closure-index/closure-document.ts";
import type { StorePath } from "../../src/nix/store-path.ts";
import type { Resolver } from "../../src/resolver/resolver.ts";
import { createSigner } from "../nix/signer.ts";
import { pathOf } from "./fake-store.ts";
import { failureOf, resolverWith, until } from "./fixture.ts";
import { manifestOf, push, pushedChain, registrySource } from "./pushed.ts";
import { RegistryServer } from "./registry-server.ts";
import { TestClock } from "./test-clock.ts";

const day = 24 * 60 * 60 * 1000;
const closure = pushedChain(4);
const [root] = closure.roots as [StorePath];
/** The same closure with other images. */
const again: ClosureDocument = {
  ...closure,
  storeImages: [{ own: [], manifest: manifestOf("all of it, made anew") }],
};

/** A resolver whose closure is too old to be believed. */
async function stale(): Promise<{
  readonly server: RegistryServer;
  readonly resolver: Resolver;
  readonly clock: TestClock;
  readonly old: Awaited<ReturnType<Resolver["resolve"]>>;
}> {
  const server = await RegistryServer.start();
  push(server, closure);
  // The wait for an answer is ended by the test; pauses between attempts are shorter.
  const clock = new TestClock(1_900);
  const resolver = resolverWith([registrySource(server)], { clock });
  const old = await resolver.resolve("main", [root]);
  clock.advance(day - 1);
  expect(resolver.known("main", [root])).toBe(old);
  expect(await resolver.resolve("main", [root])).toBe(old);
  clock.advance(1);
  expect(resolver.known("main", [root])).toBeUndefined();
  server.requests.length = 0;
  return { server, resolver, clock, old };
}

describe("a closure that is known for a day", () => {
  test("is asked for again, in one request if it is the same", async () => {
    const { server, resolver, clock, old } = await stale();
    expect(await resolver.resolve("main", [root])).toBe(old);
    expect(server.requests).toHaveLength(1);
    clock.advance(day - 1);
    expect(resolver.known("main", [root])).toBe(old);
    expect(clock.limits).toBe(0);
  });

  test("is replaced if it was pushed with other images", async () => {
    const { server, resolver, old } = await stale();
    push(server, again);
    const fresh = await resolver.resolve("main", [root]);
    expect(fresh).not.toBe(old);
    expect(resolver.pushedImages("main", fresh)?.storeImages).toHaveLength(1);
    expect(resolver.pushedImages("main", old)?.storeImages).toHaveLength(2);
    expect(server.requests).toHaveLength(3);
  });

  test("is forgotten if it is gone", async () => {
    const { server, resolver, clock } = await stale();
    server.manifests.clear();
    for (const wait of [0, 0, 5_000]) {
      clock.advance(wait);
      expect((await failureOf(resolver.resolve("main", [root]))).code).toBe("CLOSURE_NOT_PUSHED");
    }
    expect(server.requests).toHaveLength(2);
  });

  test("serves while the registry is down, which is asked every ten seconds", async () => {
    const { server, resolver, clock, old } = await stale();
    const { port } = server;
    await server.stop();
    expect(await resolver.resolve("main", [root])).toBe(old);
    expect(resolver.known("main", [root])).toBe(old);
    clock.advance(10_000);
    expect(resolver.known("main", [root])).toBeUndefined();
    expect(await resolver.resolve("main", [root])).toBe(old);
    await server.listen(port);
    push(server, again);
    clock.advance(9_999);
    expect(await resolver.resolve("main", [root])).toBe(old);
    expect(server.requests).toEqual([]);
    clock.advance(1);
    expect(await resolver.resolve("main", [root])).not.toBe(old);
  });

  test.for([403, 500])("serves while the registry answers %i", async (status) => {
    const { server, resolver, old } = await stale();
    server.answer("*", status);
    expect(await resolver.resolve("main", [root])).toBe(old);
  });

  test("serves instead of another that is not signed", async () => {
    const { server, resolver, old } = await stale();
    push(server, again, [createSigner("evil-1")]);
    expect(await resolver.resolve("main", [root])).toBe(old);
    expect(resolver.pushedImages("main", old)?.storeImages).toHaveLength(2);
  });

  test("serves after two seconds while the registry is slow, whose answer is taken when it comes", async () => {
    const { server, resolver, clock, old } = await stale();
    const held: (() => void)[] = [];
    const { index } = push(server, again);
    server.answer("*", (response) => void held.push(() => response.end(index.bytes)));
    const first = resolver.resolve("main", [root]);
    await until(() => held.length === 1);
    clock.advance(2_000);
    expect(await first).toBe(old);
    expect(resolver.known("main", [root])).toBe(old);
    server.recover();
    held[0]?.();
    await until(() => server.requests.length === 3 && resolver.known("main", [root]) !== old);
    expect((await resolver.resolve("main", [root])).paths).toHaveLength(4);
    // The answer is believed for a day, not for the time of the old one.
    clock.advance(day - 1);
    expect(resolver.known("main", [root])).toBeDefined();
  });
});

describe("memory", () => {
  test("is bounded: what was used last stays", async () => {
    const server = await RegistryServer.start();
    const names = Array.from({ length: 20 }, (_, index) => `app-${index}`);
    for (const name of names) push(server, pushedChain(10, name));
    const resolver = resolverWith([registrySource(server)], { memoryBytes: 100_000 });
    for (const name of names) await resolver.resolve("main", [pathOf(`${name}-0`)]);
    expect(server.requests).toHaveLength(60);
    expect(resolver.known("main", [pathOf("app-19-0")])).toBeDefined();
    expect(resolver.known("main", [pathOf("app-0-0")])).toBeUndefined();
  });

  test("may be too small for a closure, which is then asked for each time", async () => {
    const server = await RegistryServer.start();
    push(server, closure);
    const resolver = resolverWith([registrySource(server)], { memoryBytes: 1_000 });
    await resolver.resolve("main", [root]);
    const types = await resolver.pathTypes("main", [root]);
    expect(types.get(root)).toBe("directory");
    expect(server.requests).toHaveLength(6);
  });
});
