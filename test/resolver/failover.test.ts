import { describe, expect, test } from "vitest";
import { storeHash } from "../../src/nix/store-path.ts";
import { createSigner } from "../nix/signer.ts";
import { CacheServer, deadUrl, redirectTo, withStatus, type Answer } from "./cache-server.ts";
import { cacheFiles, chain, narInfoOf, pathOf } from "./fake-store.ts";
import { failureOf, resolverOf } from "./fixture.ts";
import { TestClock } from "./test-clock.ts";

const path = pathOf("app");
const narInfo = `${storeHash(path)}.narinfo`;
const good = cacheFiles([[path]]);

function answerWith(body: string | Uint8Array): Answer {
  return (response) => response.end(body);
}

/** How a cache can fail to give a narinfo, and the error if no other cache has it. */
const failures: readonly (readonly [string, Answer | number, string])[] = [
  ["404", 404, "PATH_UNKNOWN"],
  ["403, as S3 says for what may not be listed", 403, "PATH_UNKNOWN"],
  ["410", 410, "PATH_UNKNOWN"],
  ["401", 401, "CACHE_ACCESS_DENIED"],
  ["407", 407, "CACHE_ACCESS_DENIED"],
  ["400", 400, "CACHE_INVALID_ANSWER"],
  ["204", 204, "CACHE_INVALID_ANSWER"],
  ["500", 500, "CACHE_UNAVAILABLE"],
  ["502", 502, "CACHE_UNAVAILABLE"],
  ["503", 503, "CACHE_UNAVAILABLE"],
  ["429", 429, "CACHE_UNAVAILABLE"],
  ["408", 408, "CACHE_UNAVAILABLE"],
  ["501", 501, "CACHE_INVALID_ANSWER"],
  ["505", 505, "CACHE_INVALID_ANSWER"],
  ["511", 511, "CACHE_INVALID_ANSWER"],
  ["a redirect without a target", 302, "CACHE_INVALID_ANSWER"],
  ["a redirect elsewhere", redirectTo("file:///etc/passwd"), "CACHE_LEADS_AWAY"],
  ["no narinfo at all", answerWith("<html>\n"), "CACHE_INVALID_ANSWER"],
  ["a narinfo that is cut off", answerWith(narInfoOf(path).subarray(0, 200)), "CACHE_INVALID_ANSWER"],
  ["an empty body", answerWith(""), "CACHE_INVALID_ANSWER"],
  ["the narinfo of another path", answerWith(narInfoOf(pathOf("other"))), "PATH_MISMATCH"],
  ["no signature", answerWith(narInfoOf(path, { signer: undefined })), "PATH_UNTRUSTED"],
  [
    "a foreign signature",
    answerWith(narInfoOf(path, { signer: createSigner("foreign-1") })),
    "PATH_UNTRUSTED",
  ],
  ["a connection that breaks off before the answer", (response) => response.destroy(), "CACHE_UNAVAILABLE"],
  [
    "a connection that breaks off within the body",
    (response) => {
      response.writeHead(200, { "content-length": "1000" }).write("StorePath: ");
      setImmediate(() => response.destroy());
    },
    "CACHE_UNAVAILABLE",
  ],
];

describe.for(failures)("a cache that answers with %s", ([, answer, code]) => {
  test("is followed by the next one", async () => {
    const first = await CacheServer.start();
    first.answer(narInfo, answer);
    const second = await CacheServer.start(good);
    const resolver = resolverOf([first.url, second.url], { clock: new TestClock() });
    expect((await resolver.resolve("main", [path])).paths).toHaveLength(1);
    expect(first.paths).toContain(narInfo);
  });

  test(`alone gives ${code}`, async () => {
    const cache = await CacheServer.start();
    cache.answer(narInfo, answer);
    const resolver = resolverOf(cache.url, { clock: new TestClock() });
    const error = await failureOf(resolver.resolve("main", [path]));
    expect(error.code).toBe(code);
    expect(error.message).toContain(cache.url);
    if (code !== "CACHE_ACCESS_DENIED" && code !== "CACHE_LEADS_AWAY") expect(error.message).toContain(path);
  });
});

test("a cache that is dead is followed by the next one, and then not asked for a while", async () => {
  const clock = new TestClock();
  const second = await CacheServer.start(cacheFiles([[path], [pathOf("b")]]));
  const resolver = resolverOf([await deadUrl(), second.url], { clock });
  await resolver.resolve("main", [path]);
  expect(clock.pauses).toEqual([100, 200, 400, 800]);
  await resolver.resolve("main", [pathOf("b")]);
  expect(clock.pauses).toHaveLength(4);
});

test("a cache that hangs is followed by the next one in time for a review, and then not asked for a while", async () => {
  const first = await CacheServer.start();
  first.answer("*", () => undefined);
  const second = await CacheServer.start(cacheFiles(chain(8)));
  const resolver = resolverOf([first.url, second.url]);
  const root = chain(8)[0]![0];
  const closure = await resolver.resolve("main", [root], AbortSignal.timeout(9000));
  expect(closure.paths).toHaveLength(8);
  expect(first.requests).toHaveLength(1);
});

test("a cache that is slow gets its time when the next one has nothing", async () => {
  const first = await CacheServer.start(good);
  let asked = 0;
  first.answer(narInfo, (response) => {
    // Too late for who is in a hurry.
    if (asked++ > 0) response.end(good.get(narInfo));
  });
  const second = await CacheServer.start();
  const resolver = resolverOf([first.url, second.url], { timeouts: { attempt: 300, patience: 200 } });
  expect((await resolver.resolve("main", [path])).paths).toHaveLength(1);
  expect(asked).toBe(2);
});

test("a cache that is overloaded is left for the next one, and waited for when no other has the path", async () => {
  const clock = new TestClock();
  const first = await CacheServer.start(good);
  const second = await CacheServer.start();
  let refusals = 2;
  first.answer(narInfo, (response, request) => {
    if (refusals-- > 0) withStatus(503)(response, request);
    else response.end(good.get(narInfo));
  });
  const resolver = resolverOf([first.url, second.url], { clock });
  await resolver.resolve("main", [path]);
  expect(first.paths.filter((asked) => asked === narInfo)).toHaveLength(3);
  expect(second.paths).toContain(narInfo);
  expect(clock.pauses).toEqual([5000]);
});

test("what no cache has is unknown; where one could not be asked, it may be there", async () => {
  const healthy = await CacheServer.start();
  const broken = await CacheServer.start();
  broken.answer(narInfo, 500);
  const clock = new TestClock();
  const unknown = await failureOf(resolverOf([healthy.url], { clock }).resolve("main", [path]));
  expect(unknown.code).toBe("PATH_UNKNOWN");
  for (const caches of [
    [healthy.url, broken.url],
    [broken.url, healthy.url],
  ]) {
    const error = await failureOf(resolverOf(caches, { clock }).resolve("main", [path]));
    expect(error.code).toBe("CACHE_UNAVAILABLE");
    expect(error.message).toContain(broken.url);
  }
});

test("of several failures the temporary one counts, for it may hide the path", async () => {
  const [untrusted, broken] = [await CacheServer.start(), await CacheServer.start()];
  untrusted.answer(narInfo, answerWith(narInfoOf(path, { signer: undefined })));
  broken.answer(narInfo, 500);
  const clock = new TestClock();
  const resolver = resolverOf([untrusted.url, broken.url], { clock });
  const error = await failureOf(resolver.resolve("main", [path]));
  expect(error.code).toBe("CACHE_UNAVAILABLE");
  expect((error.cause as AggregateError).errors).toHaveLength(2);
});

test("the message for an unknown path names all caches, and who needs it", async () => {
  const app = pathOf("app-with-library");
  const caches = [
    await CacheServer.start(cacheFiles([[app, { references: [path] }]])),
    await CacheServer.start(),
  ];
  const resolver = resolverOf(caches.map(({ url }) => url));
  const error = await failureOf(resolver.resolve("main", [app]));
  expect(error.message).toContain(
    `${path} (needed by ${app}) is not in ${caches[0]!.url} nor in ${caches[1]!.url}; check the path`,
  );
});

test("an error about a path says who needs it", async () => {
  const app = pathOf("app-with-library");
  const cache = await CacheServer.start(
    cacheFiles([
      [app, { references: [path] }],
      [path, { signer: undefined }],
    ]),
  );
  const error = await failureOf(resolverOf(cache.url).resolve("main", [app]));
  expect(error.message).toContain(`needed by ${app}: ${path} from ${cache.url} has no valid signature`);
});
