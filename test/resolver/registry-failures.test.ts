import { describe, expect, onTestFinished, test } from "vitest";
import type { StorePath } from "../../src/nix/store-path.ts";
import type { CacheTimeouts } from "../../src/resolver/cache.ts";
import type { Resolver } from "../../src/resolver/resolver.ts";
import { type Answer, withStatus } from "./cache-server.ts";
import { pathOf } from "./fake-store.ts";
import { failureOf, resolverWith, until } from "./fixture.ts";
import { partsOf, push, pushedChain, registrySource } from "./pushed.ts";
import { RegistryServer } from "./registry-server.ts";
import { TestClock } from "./test-clock.ts";

const closure = pushedChain(4);
const [root] = closure.roots as [StorePath];
const others = pushedChain(2, "other");
const [otherRoot] = others.roots as [StorePath];
const parts = partsOf(closure);
const index = `manifests/${parts.tag}`;

async function started(
  timeouts: Partial<CacheTimeouts> = {},
): Promise<{ readonly server: RegistryServer; readonly resolver: Resolver; readonly clock: TestClock }> {
  const server = await RegistryServer.start();
  push(server, closure);
  push(server, others);
  const clock = new TestClock();
  return { server, clock, resolver: resolverWith([registrySource(server)], { clock, timeouts }) };
}

/** The answer for the first so many requests; then what is there. */
function times(count: number, answer: Answer, server: RegistryServer): Answer {
  return (response, request) => {
    if (--count === 0) server.recover();
    answer(response, request);
  };
}

const breakOff: Answer = (response) => {
  response.writeHead(200, { "content-length": "1000" });
  response.write("{", () => response.destroy());
};

describe("a registry that has trouble for a moment is asked again", () => {
  test.for<[string, Answer]>([
    ["500", withStatus(500)],
    ["502", withStatus(502)],
    ["503", withStatus(503)],
    ["429", withStatus(429)],
    ["429 with Retry-After", withStatus(429, { "retry-after": "7" })],
    ["a broken connection", (response) => response.destroy()],
    ["half an answer", breakOff],
  ])("%s", async ([, answer]) => {
    const { server, resolver, clock } = await started();
    server.answer(index, times(2, answer, server));
    expect((await resolver.resolve("main", [root])).paths).toHaveLength(4);
    expect(server.requests).toHaveLength(5);
    expect(clock.pauses).toHaveLength(2);
  });
});

describe("a registry that stays in trouble", () => {
  const silent: Answer = () => undefined;
  const endless: Answer = (response) => {
    response.writeHead(200, { "content-type": "application/vnd.oci.image.index.v1+json" });
    response.write("{");
    const timer = setInterval(() => response.write(" "), 10);
    response.once("close", () => clearInterval(timer));
  };

  test.for<[string, Answer, string]>([
    ["500", withStatus(500), "HTTP 500"],
    ["429", withStatus(429, { "retry-after": "1" }), "asks for a pause of 1 s"],
    ["no answer", silent, "no whole answer in 0.1 s"],
    ["an answer without end", endless, "no whole answer in 0.2 s"],
    ["half an answer", breakOff, ""],
  ])("%s: is an error that can pass", async ([, answer, why]) => {
    const { server, resolver } = await started({ connect: 50, headers: 50, attempt: 200 });
    server.answer("*", answer);
    const error = await failureOf(resolver.resolve("main", [root]));
    expect(error.code).toBe("REGISTRY_UNAVAILABLE");
    expect(error.temporary).toBe(true);
    expect(error.message).toContain(root);
    expect(error.message).toContain(server.repository);
    expect(error.message).toContain(why);
    expect(error.message).toContain("try again");
    expect(server.requests).toHaveLength(5);
  });

  test("is left alone for ten seconds, and then in use again", async () => {
    const { server, resolver, clock } = await started();
    const { port } = server;
    await server.stop();
    expect((await failureOf(resolver.resolve("main", [root]))).code).toBe("REGISTRY_UNAVAILABLE");
    await server.listen(port);
    clock.advance(3_000);
    const error = await failureOf(resolver.resolve("main", [otherRoot]));
    expect(error.code).toBe("REGISTRY_UNAVAILABLE");
    expect(error.message).toContain("it did not answer before, and is asked again in 7 s");
    expect(error.message).toContain(otherRoot);
    expect(server.requests).toEqual([]);
    clock.advance(7_000);
    await Promise.all([resolver.resolve("main", [root]), resolver.resolve("main", [otherRoot])]);
    expect(server.requests).toHaveLength(6);
  });

  test("for one closure is in use for others", async () => {
    const { server, resolver } = await started();
    server.answer(index, 500);
    const [error] = await Promise.all([
      failureOf(resolver.resolve("main", [root])),
      resolver.resolve("main", [otherRoot]),
    ]);
    expect(error.code).toBe("REGISTRY_UNAVAILABLE");
    server.recover();
    expect((await resolver.resolve("main", [root])).paths).toHaveLength(4);
  });
});

describe("an answer that will be the same next time", () => {
  test.for<[string, Answer | number, string, string]>([
    ["403", 403, "REGISTRY_ACCESS_DENIED", "HTTP 403"],
    ["401 without a way to log in", 401, "REGISTRY_ACCESS_DENIED", "it does not say how to log in"],
    ["400", 400, "REGISTRY_REFUSED", "HTTP 400"],
    ["405", 405, "REGISTRY_REFUSED", "HTTP 405"],
    [
      "a huge index",
      (response) => response.end(Buffer.alloc(4 * 1024 * 1024 + 1, " ")),
      "REGISTRY_INVALID_ANSWER",
      "it has more than 4194304 bytes, the limit",
    ],
    [
      "another digest in the header",
      (response) => {
        response.setHeader("docker-content-digest", `sha256:${"0".repeat(64)}`);
        response.end(parts.index.bytes);
      },
      "REGISTRY_INVALID_ANSWER",
      "with the digest sha256:",
    ],
  ])("%s: is refused, and asked for again after five seconds", async ([, answer, code, why]) => {
    const { server, resolver, clock } = await started();
    server.answer(index, answer);
    const error = await failureOf(resolver.resolve("main", [root]));
    expect(error.code).toBe(code);
    expect(error.temporary).toBe(false);
    expect(error.message).toContain(why);
    expect(error.message).toContain(root);
    server.recover();
    const asked = server.requests.length;
    clock.advance(4_999);
    expect((await failureOf(resolver.resolve("main", [root]))).message).toBe(error.message);
    expect(server.requests).toHaveLength(asked);
    clock.advance(1);
    expect((await resolver.resolve("main", [root])).paths).toHaveLength(4);
  });

  test("an endless index is not read to its end", async () => {
    const { server, resolver } = await started();
    let written = 0;
    server.answer(index, (response) => {
      const more = (): void => {
        while (response.write(Buffer.alloc(65_536, " "))) written += 65_536;
      };
      response.on("drain", more);
      more();
    });
    expect((await failureOf(resolver.resolve("main", [root]))).code).toBe("REGISTRY_INVALID_ANSWER");
    expect(written).toBeLessThan(64 * 1024 * 1024);
  });

  test("what was pushed meanwhile is found five seconds after it was missed", async () => {
    const { server, resolver, clock } = await started();
    const late = pushedChain(2, "late");
    for (let count = 0; count < 100; count++) {
      const error = await failureOf(resolver.resolve("main", [pathOf("late-0")]));
      expect(error.code).toBe("CLOSURE_NOT_PUSHED");
    }
    expect(server.requests).toHaveLength(1);
    push(server, late);
    clock.advance(5_000);
    await resolver.resolve("main", [pathOf("late-0")]);
  });
});

describe("a caller whose time is over", () => {
  const timeIsUp = new DOMException("The operation was aborted due to timeout", "TimeoutError");

  test("is told so, and the requests go on for the next one", async () => {
    const { server, resolver, clock } = await started();
    const { promise, resolve } = Promise.withResolvers<void>();
    server.answer(`manifests/${parts.manifest.digest}`, (response) => {
      void promise.then(() => response.end(parts.manifest.bytes));
    });
    const controller = new AbortController();
    const first = failureOf(resolver.resolve("main", [root], controller.signal));
    await until(() => server.requests.length === 2);
    clock.advance(9_000);
    controller.abort(timeIsUp);
    const error = await first;
    expect(error.code).toBe("RESOLVE_TIMEOUT");
    expect(error.message).toContain(`the closure of ${root} did not become known within 9.0 s`);
    const second = resolver.resolve("main", [root]);
    resolve();
    expect((await second).paths).toHaveLength(4);
    expect(server.requests).toHaveLength(3);
  });

  test("may leave a failure that is nobody's", async () => {
    const rejections: unknown[] = [];
    const note = (reason: unknown): void => void rejections.push(reason);
    process.on("unhandledRejection", note);
    onTestFinished(() => void process.off("unhandledRejection", note));
    const { server, resolver } = await started();
    const answers: (() => void)[] = [];
    server.answer("*", (response) => void answers.push(() => response.writeHead(400).end()));
    const controller = new AbortController();
    const first = failureOf(resolver.resolve("main", [root], controller.signal));
    await until(() => answers.length === 1);
    controller.abort(timeIsUp);
    await first;
    answers[0]?.();
    await until(() => answers.length === 1);
    expect((await failureOf(resolver.resolve("main", [root]))).code).toBe("REGISTRY_REFUSED");
    expect(rejections).toEqual([]);
  });
});

test("closing ends what is under way", async () => {
  const { server, resolver } = await started();
  server.answer("*", () => undefined);
  const waiting = failureOf(resolver.resolve("main", [root]));
  await until(() => server.requests.length === 1);
  await resolver.close();
  expect((await waiting).code).toBe("SHUTTING_DOWN");
  expect((await failureOf(resolver.resolve("main", [root]))).code).toBe("SHUTTING_DOWN");
});
