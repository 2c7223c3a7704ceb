import { describe, expect, test } from "vitest";
import { Attempts, retryLimits } from "../../src/registry-client/retries.ts";
import { Transient } from "../../src/registry-client/transient.ts";
import { TestClock } from "../resolver/test-clock.ts";
import { failureOf, repositoryOf } from "./fixture.ts";
import { breakAfter, RegistryServer, withStatus } from "./registry-server.ts";

const never = new AbortController().signal;
const broken = new Transient("connection reset");
const overloaded = new Transient("HTTP 503", { overloaded: true });

function attemptsAt(clock: TestClock, limits = retryLimits): Attempts {
  return new Attempts("host/app", "reading it", limits, clock);
}

describe("pauses", () => {
  test.for<[string, Transient, number, number[], string]>([
    [
      "double from 200 ms",
      broken,
      0,
      [200, 400, 800, 1600, 3200, 6400, 12_800],
      "connection reset, 8 times in a row",
    ],
    [
      "have up to half a doubling of chance",
      broken,
      1,
      [283, 566, 1131, 2263, 4525, 9051, 18_102],
      "connection reset, 8 times in a row",
    ],
    [
      "double from a second when the registry is overloaded",
      overloaded,
      0,
      [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000],
      "HTTP 503, 8 times in a row",
    ],
    [
      "are those that the registry asks for",
      new Transient("HTTP 429", { overloaded: true, retryAfter: 20_000 }),
      0,
      [20_000, 20_000, 20_000, 20_000, 20_000, 32_000, 60_000],
      "HTTP 429, 8 times in a row, and it asks for a pause of 20 s",
    ],
    [
      "grow all the same when the registry asks for none",
      new Transient("HTTP 429", { overloaded: true, retryAfter: 0 }),
      0,
      [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000],
      "HTTP 429, 8 times in a row",
    ],
    [
      "are not made when they are too long",
      new Transient("HTTP 429", { overloaded: true, retryAfter: 300_001 }),
      0,
      [],
      "HTTP 429, and it asks for a pause of 301 s",
    ],
    [
      "are not made when they have no end",
      new Transient("HTTP 429", { overloaded: true, retryAfter: Infinity }),
      0,
      [],
      "HTTP 429, and it asks for a pause of more than a day",
    ],
    ["are not made for what lasts", new Transient("not trusted", { lasting: true }), 0, [], "not trusted"],
  ])("%s", async ([, failure, chance, pauses, words]) => {
    const clock = new TestClock();
    clock.chance = chance;
    const attempts = attemptsAt(clock);
    const all = async (): Promise<never> => {
      for (;;) await attempts.failed(failure, never);
    };
    const error = await failureOf(all());
    expect(error.message).toBe(`host/app failed when reading it (${words}); try again`);
    expect([error.code, error.temporary, error.cause]).toEqual(["REGISTRY_UNAVAILABLE", true, failure]);
    expect(clock.pauses.map(Math.round)).toEqual(pauses);
  });

  test("are at most a minute, and all together as long as the patience", async () => {
    const clock = new TestClock();
    const attempts = attemptsAt(clock, { attempts: 100, patience: 300_000 });
    const all = async (): Promise<never> => {
      for (;;) await attempts.failed(overloaded, never);
    };
    await failureOf(all());
    expect(Math.max(...clock.pauses)).toBe(60_000);
    const whole = clock.pauses.reduce((sum, pause) => sum + pause, 0);
    expect(whole).toBeLessThanOrEqual(300_000);
    expect(whole).toBeGreaterThan(240_000);
  });

  test("begin anew after progress", async () => {
    const clock = new TestClock();
    const attempts = attemptsAt(clock);
    for (let round = 0; round < 100; round++) {
      await attempts.failed(broken, never);
      await attempts.failed(broken, never);
      attempts.progressed();
      clock.advance(100_000);
    }
    expect(new Set(clock.pauses)).toEqual(new Set([200, 400]));
  });

  test("end with the signal's reason", async () => {
    const stopped = AbortSignal.abort(new Error("stopped"));
    await expect(attemptsAt(new TestClock()).failed(broken, stopped)).rejects.toThrow("stopped");
  });
});

describe("a request", () => {
  test.for([408, 429, 500, 502, 503, 504, 520])("is tried again after HTTP %s", async (status) => {
    const server = await RegistryServer.start();
    server.fail(/./, status, 3);
    expect(await repositoryOf(server).getManifest("1")).toBeUndefined();
    expect(server.requests).toHaveLength(4);
  });

  test("is tried again after a broken connection", async () => {
    const server = await RegistryServer.start();
    server.fail(/./, breakAfter(0), 7);
    expect(await repositoryOf(server).getManifest("1")).toBeUndefined();
    expect(server.requests).toHaveLength(8);
  });

  test("is given up after the last attempt, in words", async () => {
    const server = await RegistryServer.start();
    server.fail(/./, withStatus(500, {}, '{"errors":[{"code":"UNKNOWN","message":"disk"}]}'), 99);
    const error = await failureOf(repositoryOf(server).getManifest("1"));
    expect(error.toLine()).toBe(
      `${server.host}/team/app failed when reading the manifest 1 (HTTP 500, UNKNOWN: "disk", 8 times in a row); try again [REGISTRY_UNAVAILABLE, see docs/errors.md#registry_unavailable]`,
    );
    expect(server.requests).toHaveLength(8);
  });

  test("has the attempts that are asked for", async () => {
    const server = await RegistryServer.start();
    server.fail(/./, 500, 99);
    await failureOf(repositoryOf(server, { retries: { attempts: 2 } }).getManifest("1"));
    expect(server.requests).toHaveLength(2);
  });

  test.for<[Record<string, string>, number[]]>([
    [{ "retry-after": "12" }, [12_000]],
    [{ "retry-after": "Fri, 01 Jan 2027 00:00:30 GMT", date: "Fri, 01 Jan 2027 00:00:00 GMT" }, [30_000]],
    [{ "retry-after": "Fri, 01 Jan 2027 00:00:00 GMT", date: "Fri, 01 Jan 2027 00:00:30 GMT" }, [1000]],
    [{ "retry-after": "-5" }, [1000]],
    [{ "retry-after": "soon" }, [1000]],
    [{}, [1000]],
  ])("that is one too many waits as %j says", async ([headers, pauses]) => {
    const server = await RegistryServer.start();
    server.fail(/./, withStatus(429, headers));
    const clock = new TestClock();
    await repositoryOf(server, { clock }).getManifest("1");
    expect(clock.pauses).toEqual(pauses);
  });

  test("to a server that is gone fails with its reason", async () => {
    const server = await RegistryServer.start();
    const { host } = server;
    await server.stop();
    const error = await failureOf(repositoryOf(host).getManifest("1"));
    expect(error.code).toBe("REGISTRY_UNAVAILABLE");
    expect(error.message).toContain("ECONNREFUSED");
  });

  test("ends with its signal, while it waits and while it is sent", async () => {
    const server = await RegistryServer.start();
    const controller = new AbortController();
    server.fail(/./, () => controller.abort(new Error("stopped")));
    await expect(repositoryOf(server).getManifest("1", { signal: controller.signal })).rejects.toThrow(
      "stopped",
    );
    const all = new AbortController();
    const repository = repositoryOf(server, { signal: all.signal });
    server.fail(/./, async () => {
      all.abort(new Error("all stopped"));
      await new Promise(() => undefined);
    });
    await expect(repository.getManifest("1")).rejects.toThrow("all stopped");
    await expect(repository.getManifest("1")).rejects.toThrow("all stopped");
  });

  test("ends when the repository is closed", async () => {
    const server = await RegistryServer.start();
    const repository = repositoryOf(server);
    server.fail(/./, async () => {
      await repository.close();
    });
    expect((await failureOf(repository.getManifest("1"))).code).toBe("SHUTTING_DOWN");
    expect((await failureOf(repository.getManifest("1"))).code).toBe("SHUTTING_DOWN");
  });
});
