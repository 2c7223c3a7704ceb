import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { parseBaseName, storeHash } from "../../src/nix/store-path.ts";
import type { ResolverObserver } from "../../src/resolver/observer.ts";
import { demoKey } from "../nix/demo-cache.ts";
import { CacheServer, withStatus } from "./cache-server.ts";
import { cacheFiles, chain, pathOf } from "./fake-store.ts";
import { demoDirectory, failureOf, resolverOf, resolverWith } from "./fixture.ts";
import { push, pushedChain, registrySource } from "./pushed.ts";
import { RegistryServer } from "./registry-server.ts";
import { TestClock } from "./test-clock.ts";

/** Notes what it is told: `<cache> <kind> <outcome>` and `<outcome>`. */
class Notes implements ResolverObserver {
  readonly requests: string[] = [];
  readonly answers: string[] = [];
  readonly seconds: number[] = [];

  cacheRequest(event: Parameters<ResolverObserver["cacheRequest"]>[0]): void {
    this.requests.push(`${event.cache} ${event.kind} ${event.outcome}`);
    this.seconds.push(event.seconds);
  }

  memory(event: Parameters<ResolverObserver["memory"]>[0]): void {
    this.answers.push(event.outcome);
  }
}

test("every request to a cache is told, with its retries, and the time it took", async () => {
  const paths = chain(2);
  const [root, leaf] = [paths[0]![0], paths[1]![0]];
  const server = await CacheServer.start(cacheFiles(paths));
  const clock = new TestClock();
  let failures = 1;
  server.answer(`${storeHash(leaf)}.narinfo`, (response, request) => {
    clock.advance(1_500);
    if (failures-- > 0) withStatus(500)(response, request);
    else response.end(cacheFiles(paths).get(`${storeHash(leaf)}.narinfo`));
  });
  const observer = new Notes();
  const url = server.url.replace("//", "//me:secret@");
  const resolver = resolverOf(url, { clock, observer });
  await resolver.resolve("main", [root]);
  await resolver.pathTypes("main", [root]);
  await failureOf(resolver.resolve("main", [pathOf("gone")]));
  expect(observer.requests).toEqual(
    [
      "info hit",
      "narinfo hit",
      "narinfo error",
      "narinfo hit",
      "listing missing",
      "nar hit",
      "narinfo missing",
    ].map((event) => `${server.url} ${event}`),
  );
  expect(observer.seconds).toEqual([0, 0, 1.5, 1.5, 0, 0, 0]);
});

test("requests to a registry are told, each with its retries", async () => {
  const server = await RegistryServer.start();
  const { tag, index } = push(server, pushedChain(2));
  const clock = new TestClock();
  let failures = 2;
  server.answer(`manifests/${tag}`, (response, request) => {
    clock.advance(1_500);
    if (failures-- > 0) withStatus(500)(response, request);
    else response.end(index.bytes);
  });
  const observer = new Notes();
  const resolver = resolverWith([registrySource(server)], { clock, observer });
  await resolver.resolve("main", [pathOf("link-0")]);
  await resolver.resolve("main", [pathOf("link-0")]);
  await resolver.pathTypes("main", [pathOf("link-1")]);
  await failureOf(resolver.resolve("main", [pathOf("gone")]));
  await failureOf(resolver.resolve("main", [pathOf("gone")]));
  server.answer("*", 403);
  await failureOf(resolver.resolve("main", [pathOf("secret")]));
  expect(observer.requests).toEqual(
    ["index hit", "manifest hit", "document hit", "index missing", "index error"].map(
      (event) => `${server.repository} ${event}`,
    ),
  );
  expect(observer.seconds[0]).toBeGreaterThan(4.5);
  expect(observer.answers).toEqual(["miss", "hit", "hit", "miss", "miss", "miss"]);
});

test("requests to a directory are told too", async () => {
  const observer = new Notes();
  const url = pathToFileURL(demoDirectory).href;
  const resolver = resolverOf(url, { observer, publicKeys: [demoKey] });
  const mixed = parseBaseName("qk79bwpv0lwx4gm27p3h754sl2n6rsh7-mixed-app-1.0");
  // Of its paths two have a listing, and one is a file by its content address.
  const { paths } = await resolver.resolve("main", [mixed]);
  await resolver.pathTypes(
    "main",
    paths.map(({ storePath }) => storePath),
  );
  const counts = Object.groupBy(observer.requests, (event) => event.replace(`${url} `, ""));
  expect(Object.fromEntries(Object.entries(counts).map(([event, all]) => [event, all?.length]))).toEqual({
    "info hit": 1,
    "narinfo hit": 8,
    "listing hit": 2,
    "listing missing": 5,
    "nar hit": 5,
  });
});

test("every question to the memory is told", async () => {
  const paths = chain(2);
  const root = paths[0]![0];
  const server = await CacheServer.start(cacheFiles(paths));
  const observer = new Notes();
  const resolver = resolverOf(server.url, { observer });
  await resolver.resolve("main", [root]);
  expect(observer.answers).toEqual(["miss", "miss", "miss"]);
  await resolver.resolve("main", [root]);
  await resolver.lookup("main", storeHash(root));
  expect(observer.answers.slice(3)).toEqual(["hit", "hit"]);
  await resolver.pathTypes("main", [root]);
  await resolver.pathTypes("main", [root]);
  expect(observer.answers.slice(5)).toEqual(["miss", "hit", "hit"]);
});
