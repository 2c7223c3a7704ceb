import { describe, expect, test } from "vitest";
import { cacheAccessDenied } from "../../src/errors.ts";
import type { Patience } from "../../src/resolver/cache.ts";
import { Retries } from "../../src/resolver/retries.ts";
import { Transient } from "../../src/resolver/transient.ts";
import { failureOf } from "./fixture.ts";
import { TestClock } from "./test-clock.ts";

const never = new AbortController().signal;
const forever = 3_600_000;

/** Patience of so many milliseconds for all attempts. */
function lasting(all: number, hurried = false): Patience {
  return { all, attempt: all, hurried };
}

const refused = new Transient("connection refused", { unreachable: true });
const overloaded = new Transient("HTTP 503", { overloaded: true });

/** Runs attempts that fail so, one after the other, until one succeeds. */
function setUp(...failures: readonly Error[]): {
  readonly clock: TestClock;
  readonly retries: Retries;
  readonly attempts: () => number;
  readonly run: (patience?: number) => Promise<string>;
} {
  const clock = new TestClock();
  const retries = new Retries("https://cache", clock);
  const left = [...failures];
  let attempts = 0;
  const attempt = async (): Promise<string> => {
    attempts++;
    const failure = left.shift();
    if (failure !== undefined) throw failure;
    return "answer";
  };
  const run = async (patience = forever): Promise<string> =>
    retries.run("it", lasting(patience), never, attempt);
  return { clock, retries, attempts: () => attempts, run };
}

describe("pauses", () => {
  test.for<[string, Error, number, number[], string?]>([
    ["double from 100 ms", refused, 0, [100, 200, 400, 800]],
    ["have up to half a doubling of chance", refused, 1, [141, 283, 566, 1131]],
    ["double from 5 s when the cache is overloaded", overloaded, 0, [5000, 10_000, 20_000, 40_000]],
    ["are never longer than a minute", overloaded, 1, [7071, 14_142, 28_284, 56_569]],
    [
      "are those that the cache asks for",
      new Transient("HTTP 429", { overloaded: true, retryAfter: 3000 }),
      0,
      [3000, 3000, 3000, 3000],
      ", and a pause of 3 s is asked for",
    ],
    [
      "grow all the same when the cache asks for none",
      new Transient("HTTP 429", { overloaded: true, retryAfter: 0 }),
      0,
      [100, 200, 400, 800],
    ],
  ])("%s", async ([, failure, chance, pauses, asked = ""]) => {
    const { clock, run, attempts } = setUp(failure, failure, failure, failure, failure, failure);
    clock.chance = chance;
    const error = await failureOf(run());
    expect(error.code).toBe("CACHE_UNAVAILABLE");
    expect(error.temporary).toBe(true);
    expect(error.message).toBe(
      `https://cache could not be asked for it (${failure.message}, at the fifth attempt${asked}); try again`,
    );
    expect(clock.pauses.map(Math.round)).toEqual(pauses);
    expect(attempts()).toBe(5);
  });

  test("end with the first success", async () => {
    const { clock, run } = setUp(refused, overloaded);
    expect(await run()).toBe("answer");
    expect(clock.pauses).toEqual([100, 10_000]);
  });

  test("are not begun when they would not end in time", async () => {
    const { clock, run, attempts } = setUp(overloaded, overloaded, overloaded);
    const error = await failureOf(run(14_999));
    expect(error.message).toContain("(HTTP 503, at the second attempt)");
    expect(clock.pauses).toEqual([5000]);
    expect(attempts()).toBe(2);
  });

  test.for([
    ["of an hour", 3_600_000, "3600 s"],
    ["beyond all numbers", Infinity, "more than a day"],
  ] as const)("%s, asked for by the cache, are not made", async ([, retryAfter, words]) => {
    const { clock, run } = setUp(new Transient("HTTP 503", { overloaded: true, retryAfter }));
    const error = await failureOf(run(120_000));
    expect(error.message).toContain(`(HTTP 503, and a pause of ${words} is asked for)`);
    expect(clock.pauses).toEqual([]);
  });

  test("are not made for what another attempt does not mend", async () => {
    const denied = cacheAccessDenied("https://cache", 401);
    const { clock, run, attempts } = setUp(denied);
    expect(await failureOf(run())).toBe(denied);
    expect(clock.pauses).toEqual([]);
    expect(attempts()).toBe(1);
  });

  test("end with the signal's reason", async () => {
    const controller = new AbortController();
    const retries = new Retries("https://cache", new TestClock());
    const attempt = async (): Promise<never> => {
      controller.abort(new Error("closed"));
      throw refused;
    };
    await expect(retries.run("it", lasting(forever), controller.signal, attempt)).rejects.toThrow("closed");
  });
});

describe("a cache without connection", () => {
  const five = [refused, refused, refused, refused, refused];

  test("is put aside after the attempts of one request, and not asked for 10 s", async () => {
    const { clock, run, attempts } = setUp(...five);
    await failureOf(run());
    clock.advance(9_999);
    const error = await failureOf(run());
    expect(error.code).toBe("CACHE_UNAVAILABLE");
    expect(error.message).toContain("it did not answer before, and is asked again in 1 s");
    expect(attempts()).toBe(5);
    clock.advance(1);
    expect(await run()).toBe("answer");
  });

  test("is then tried by one request, once; the others do not wait for it", async () => {
    const { clock, retries, run, attempts } = setUp(...five, refused);
    await failureOf(run());
    clock.advance(10_000);
    const outcome = Promise.withResolvers<string>();
    const probe = retries.run("it", lasting(forever), never, async () => outcome.promise);
    expect((await failureOf(run())).message).toContain("is asked again just now");
    outcome.reject(refused);
    expect((await failureOf(probe)).message).toContain("(connection refused)");
    expect((await failureOf(run())).message).toContain("is asked again in 10 s");
    expect(attempts()).toBe(5);
  });

  test("is in use again after an answer, whatever it is", async () => {
    const { clock, run, attempts } = setUp(...five, cacheAccessDenied("https://cache", 401));
    await failureOf(run());
    clock.advance(10_000);
    expect((await failureOf(run())).code).toBe("CACHE_ACCESS_DENIED");
    expect(await Promise.all([run(), run()])).toEqual(["answer", "answer"]);
    expect(attempts()).toBe(8);
  });

  test("stays in question when the request that tries it is given up", async () => {
    const { clock, retries, run } = setUp(...five);
    await failureOf(run());
    clock.advance(10_000);
    const controller = new AbortController();
    const givenUp = retries.run("it", lasting(forever), controller.signal, async () => {
      controller.abort(new Error("closed"));
      throw controller.signal.reason;
    });
    await expect(givenUp).rejects.toThrow("closed");
    expect(await run()).toBe("answer");
  });

  test("is not put aside while it answers other requests: it is overrun, not gone", async () => {
    const retries = new Retries("https://cache", new TestClock());
    const answered = () => retries.run("another", lasting(forever), never, async () => "answer");
    const unlucky = retries.run("one", lasting(forever), never, async () => {
      await answered();
      throw refused;
    });
    expect((await failureOf(unlucky)).code).toBe("CACHE_UNAVAILABLE");
    expect(await answered()).toBe("answer");
  });

  test("is put aside when one attempt alone took all the patience", async () => {
    const clock = new TestClock();
    const retries = new Retries("https://cache", clock);
    const slow = async (): Promise<never> => {
      clock.advance(5000);
      throw refused;
    };
    await failureOf(retries.run("it", lasting(2000), never, slow));
    expect((await failureOf(retries.run("it", lasting(2000), never, slow))).message).toContain(
      "did not answer before",
    );
  });

  test("is put aside only for those in a hurry, if only their time was too short for it", async () => {
    const clock = new TestClock();
    const retries = new Retries("https://cache", clock);
    const cut = new Transient("no whole answer in 4 s", { unreachable: true, hurried: true });
    const hung = async (): Promise<never> => {
      clock.advance(4000);
      throw cut;
    };
    const hurry = lasting(2000, true);
    await failureOf(retries.run("it", hurry, never, hung));
    const answer = async (): Promise<string> => "answer";
    expect((await failureOf(retries.run("it", hurry, never, answer))).message).toContain(
      "did not answer before",
    );
    expect(await retries.run("it", lasting(forever), never, answer)).toBe("answer");
    expect(await retries.run("it", hurry, never, answer)).toBe("answer");
  });

  test("is not asked by those who waited for their turn meanwhile", async () => {
    const retries = new Retries("https://cache", new TestClock());
    let attempts = 0;
    const hung = async (): Promise<never> => {
      attempts++;
      throw refused;
    };
    const all = Array.from({ length: 50 }, () => failureOf(retries.run("it", lasting(0), never, hung)));
    await Promise.all(all);
    const before = attempts;
    await Promise.all(
      Array.from({ length: 50 }, () => failureOf(retries.run("it", lasting(forever), never, hung))),
    );
    // Five attempts of those that have a turn, not of all who wait.
    expect(attempts - before).toBeLessThan(50 * 5);
  });

  test.for<[string, Error[], number]>([
    ["one quick failure with no patience for another", [refused], 50],
    ["server errors", Array.from({ length: 5 }, () => overloaded), forever],
  ])("is not put aside after %s", async ([, failures, patience]) => {
    const { run } = setUp(...failures);
    await failureOf(run(patience));
    expect(await run()).toBe("answer");
  });
});
