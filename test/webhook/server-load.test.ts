import { once } from "node:events";
import { Agent } from "node:https";
import { connect as connectTcp } from "node:net";
import fc from "fast-check";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { timeLimit } from "../../src/webhook/server.ts";
import { DemoCacheServer, hello, mixed, nginx, unknown, until } from "../service/demo-cache.ts";
import { operationsOf, patched, podWith, reviewOf } from "./https-client.ts";
import { makePair, type TestPair } from "./made-pair.ts";
import { openTls, startWebhook } from "./running-webhook.ts";

let first: TestPair;
beforeAll(async () => {
  first = await makePair();
});

describe("the timeout that the API server announces", () => {
  test.each<[string | undefined, number]>([
    ["10s", 9000],
    ["30s", 29_000],
    ["1m0s", 9000],
    ["1m", 29_000],
    ["2s", 1000],
    ["1s", 500],
    ["1.5s", 750],
    ["500ms", 250],
    ["33ms", 16],
    ["0s", 0],
    ["5", 4000],
    [undefined, 9000],
    ["", 9000],
    ["-5s", 9000],
    ["soon", 9000],
    ["999999s", 9000],
  ])("%o leaves %i ms", (timeout, milliseconds) => {
    expect(timeLimit(timeout ?? null, 0)).toBe(milliseconds);
  });

  test("is shorter where many wait already, but not below the half", () => {
    expect(timeLimit("10s", 500)).toBe(7000);
    expect(timeLimit("10s", 5000)).toBe(5000);
  });

  test("can be said twice, or not be a timeout at all", async () => {
    const { client } = await startWebhook(first);
    for (const query of ["?timeout=1s&timeout=2s", "?timeout[a]=1", "?", "?timeout=%00", "?timeout=0.3s"]) {
      const response = await client.review(reviewOf(podWith({ "nix.closure": hello })), query);
      expect(response).toMatchObject({ allowed: true });
    }
  });

  // By the clock on the wall, of which others on the machine can take their share.
  test(
    "is kept while a cache hangs; the walk goes on, so the next try finds it warm",
    { retry: 2 },
    async () => {
      await using cache = await DemoCacheServer.start();
      const running = await startWebhook(first, { cache: cache.url });
      const pod = podWith({ "nix.closure": nginx });
      cache.stall();

      const started = performance.now();
      const denied = await running.client.review(reviewOf(pod), "?timeout=2s");
      const milliseconds = performance.now() - started;
      expect(denied).toMatchObject({ allowed: false, status: { code: 504, reason: "Timeout" } });
      expect(denied.status?.message).toMatch(/nginx-app-1\.0.*; try again \[RESOLVE_TIMEOUT/);
      expect(milliseconds).toBeGreaterThanOrEqual(999);
      expect(milliseconds).toBeLessThan(2000);
      expect(cache.requests.length).toBeGreaterThan(0);

      cache.wake();
      // Nobody waits for the walk; its last requests are those for the paths' types.
      let response = denied;
      await until(async () => {
        response = await running.client.review(reviewOf(pod), "?timeout=200ms");
        return response.allowed;
      });
      const asked = cache.requests.length;
      const again = await running.client.review(reviewOf(pod), "?timeout=1s");
      expect(operationsOf(again)).toEqual(operationsOf(response));
      expect(cache.requests).toHaveLength(asked);
      expect(patched(pod, response).spec.volumes).toHaveLength(5);
      expect(running.inFlight).toBe(0);
    },
  );

  test.each(["33ms", "0s", "0.0015s"])("of %s is too short for anything but a denial", async (timeout) => {
    await using cache = await DemoCacheServer.start();
    const { client } = await startWebhook(first, { cache: cache.url });
    cache.stall();
    const response = await client.review(reviewOf(podWith({ "nix.closure": hello })), `?timeout=${timeout}`);
    expect(response).toMatchObject({ allowed: false, status: { code: 504 } });
  });

  test("a cache that is gone is a temporary denial too", async () => {
    const cache = await DemoCacheServer.start();
    const { client } = await startWebhook(first, { cache: cache.url });
    await cache[Symbol.asyncDispose]();
    const { status } = await client.review(reviewOf(podWith({ "nix.closure": hello })), "?timeout=10s");
    expect(status).toMatchObject({ code: 503, reason: "ServiceUnavailable" });
    expect(status?.message).toMatch(/could not be asked .*; try again \[CACHE_UNAVAILABLE/);
  });
});

describe("clients", () => {
  const pod = podWith({ "nix.closure": hello });
  const text = JSON.stringify(reviewOf(pod));
  const head = `POST /mutate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n`;

  test("that go away at any point do no harm", async () => {
    await using cache = await DemoCacheServer.start();
    const running = await startWebhook(first, { cache: cache.url });
    const connections = async () =>
      new Promise<number>((resolve, reject) =>
        running.server.app.server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
      );
    connectTcp(running.port, "127.0.0.1", function (this: { destroy(): void }) {
      this.destroy();
    });
    for (const sent of ["", "POST /mu", head, head + text.slice(0, 50)]) {
      const socket = await openTls(running.port, first);
      socket.write(sent);
      socket.destroy();
    }
    cache.stall();
    const socket = await openTls(running.port, first);
    socket.write(head + text);
    await until(() => running.inFlight === 1);
    socket.destroy();
    await until(async () => (await connections()) === 0);
    cache.wake();
    await until(() => running.inFlight === 0);
    expect(running.outcomes).toMatchObject([{ outcome: "injected" }]);
    expect(await running.client.review(reviewOf(pod))).toMatchObject({ allowed: true });
  });

  test("that are slow hold up nobody", async () => {
    const { port, client } = await startWebhook(first);
    const socket = await openTls(port, first);
    socket.write((head + text).slice(0, -20));
    expect(await client.review(reviewOf(pod))).toMatchObject({ allowed: true });
    socket.write(text.slice(-20));
    expect(String((await once(socket, "data"))[0])).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });

  test("may post 64 reviews at once over a few connections, and get each its own answer", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 8 });
    onTestFinished(() => agent.destroy());
    const { client, server } = await startWebhook(first, { agent });
    const ports = new Set<number | undefined>();
    server.app.server.on("request", ({ socket }: { socket: { remotePort?: number } }) =>
      ports.add(socket.remotePort),
    );
    const roots = [hello, nginx, mixed, unknown];
    const responses = await Promise.all(
      Array.from({ length: 64 }, (_, i) =>
        client.review(reviewOf(podWith({ "nix.closure": roots[i % 4]! }), { uid: `uid ${i}` })),
      ),
    );
    for (const [i, response] of responses.entries()) {
      expect(response).toMatchObject({ uid: `uid ${i}`, allowed: i % 4 !== 3 });
      const { patch, ...firstOfItsKind } = responses[i % 4]!;
      expect({ ...response, uid: "" }).toMatchObject(
        patch === undefined ? { status: firstOfItsKind.status } : {},
      );
      if (patch !== undefined) expect(operationsOf(response)).toEqual(operationsOf(responses[i % 4]!));
    }
    expect(ports.size).toBeLessThanOrEqual(8);
  });
});

test("garbage anywhere in a review is never a mistake of ours", async () => {
  const agent = new Agent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  const running = await startWebhook(first, { agent });
  const pod = podWith(
    { "nix.closure": hello, "nix.closure/profile": "/app", "nix.closure/path": "true" },
    {
      nodeSelector: { a: "b" },
      volumes: [{ name: "nix-a", image: { reference: "localhost:5417/x", pullPolicy: "Always" } }],
      initContainers: [{ name: "init", image: "nix.closure/base", env: [{ name: "PATH", value: "/bin" }] }],
      containers: [
        {
          name: "app",
          image: "debian:13",
          env: [{ name: "PATH", value: "/bin" }],
          volumeMounts: [{ name: "nix-a", mountPath: "/a" }],
        },
      ],
    },
  );
  const review = reviewOf(pod);
  const paths = leaves(review);
  const operation = paths.find((path) => path.at(-1) === "operation")!;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom(...paths), fc.jsonValue({ maxDepth: 3 })), {
        minLength: 1,
        maxLength: 3,
      }),
      async (changes) => {
        const changed = changes.reduce<unknown>((at, [path, value]) => withValue(at, path, value), review);
        const answer = await running.client.send(JSON.stringify(changed), "/mutate?timeout=5s");
        expect([200, 400], answer.body).toContain(answer.status);
        if (answer.status === 400) return;
        const { response } = JSON.parse(answer.body) as {
          response: { uid: unknown; status?: { code: number } };
        };
        expect(response.uid).toEqual(expect.any(String));
        expect([undefined, 400, 403, 404, 409, 422], answer.body).toContain(response.status?.code);
      },
    ),
    // One that is none of our business for certain; chance alone does not always bring it.
    { numRuns: 300, examples: [[[[operation, "DELETE"]]]] },
  );
  expect(running.inFlight).toBe(0);
  expect(running.outcomes.map(({ reason }) => reason)).not.toContain("INTERNAL");
  // Else the garbage was all refused at the door.
  expect(new Set(running.outcomes.map(({ outcome }) => outcome))).toEqual(
    new Set(["injected", "skipped", "denied"]),
  );
});

type Path = readonly (string | number)[];

/** The places of a value, the inner ones too. */
function leaves(value: unknown, path: Path = []): readonly Path[] {
  if (typeof value !== "object" || value === null) return [path];
  const members: readonly (readonly [string | number, unknown])[] = Array.isArray(value)
    ? value.map((item: unknown, i) => [i, item] as const)
    : Object.entries(value);
  return [path, ...members.flatMap(([key, inner]) => leaves(inner, [...path, key]))];
}

/** A copy with another value at a place, or as it was if there is no such place. */
function withValue(within: unknown, [key, ...rest]: Path, value: unknown): unknown {
  if (key === undefined) return value;
  if (typeof within !== "object" || within === null) return within;
  if (Array.isArray(within))
    return within.map((item, i) => (i === key ? withValue(item, rest, value) : item));
  const inner = (within as Record<string, unknown>)[key];
  return { ...within, [key]: withValue(inner, rest, value) };
}
