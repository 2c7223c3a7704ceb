import assert from "node:assert/strict";

import { describe, expect, it, test } from "vitest";

import { narInvalid } from "../../src/errors.ts";
import { recordNar } from "../nix/nar-recorder.ts";
import { directory, file } from "../nix/nar-samples.ts";
import { writeNar } from "../nix/nar-writer.ts";
import { mutateJson } from "./json-mutator.ts";
import { mutateNar } from "./nar-mutator.ts";
import { Random } from "./random.ts";
import { reportOf } from "./report.ts";
import { Session, type Failure } from "./session.ts";
import { accepted, refused, type FuzzTarget } from "./target.ts";
import { loadTarget, targetNames } from "./targets.ts";
import { inputOf, noteInput, sharedInput } from "./worker-data.ts";

/** A subject that has a defect for inputs like `<any>{<any>42<any>`. */
function subject(check: FuzzTarget["check"]): FuzzTarget {
  return {
    name: "subject",
    seeds: [Buffer.from("a,b,c")],
    words: ["{", "42"],
    maxLength: 100,
    maxMs: 50,
    check,
  };
}

const defect = (input: Uint8Array): boolean => /\{.*42/s.test(Buffer.from(input).toString("latin1"));

const broken = subject((input) => {
  assert.ok(!defect(input), "a brace before 42");
  return accepted(Buffer.from(input).includes("{") ? "brace" : "none");
});

function describeFailure({ input, shrunk, execution, message }: Failure): object {
  return {
    execution,
    input: Buffer.from(input).toString("latin1"),
    shrunk: Buffer.from(shrunk).toString("latin1"),
    message: message.split("\n")[0],
  };
}

describe("a session", () => {
  it("finds a defect, makes its input small, and finds the same again with the same seed", async () => {
    const first = await new Session(broken, 7).run({ executions: 100_000 });
    const again = await new Session(broken, 7).run({ executions: 100_000 });
    expect(describeFailure(first!)).toMatchObject({
      shrunk: "{42",
      message: expect.stringContaining("a brace before 42"),
    });
    expect(describeFailure(again!)).toEqual(describeFailure(first!));
    const other = await new Session(broken, 8).run({ executions: 100_000 });
    expect(describeFailure(other!)).not.toEqual(describeFailure(first!));
  });

  it("tries every seed first, counts, and ends in time", async () => {
    const tried: string[] = [];
    const session = new Session(
      subject(() => accepted()),
      1,
      (input) => tried.push(Buffer.from(input).toString()),
    );
    expect(await session.run({ time: performance.now() + 50 })).toBeUndefined();
    expect(tried[0]).toBe("a,b,c");
    expect(session.executions).toBe(tried.length);
    expect(session.accepted).toBe(tried.length);
    expect(session.kinds).toBe(1);
  });

  it("takes an error that is not ours, one of another code, and one of too many words for a defect", async () => {
    const long = subject(() => refused(narInvalid("x".repeat(60_000), 1), "NAR_INVALID"));
    const foreign = subject(() => refused(new RangeError("x"), "NAR_INVALID"));
    const other = subject(() => refused(narInvalid("x", 1), "NARINFO_INVALID"));
    const messages: string[] = [];
    for (const target of [long, foreign, other]) {
      const failure = await new Session(target, 1).run({ executions: 1 });
      messages.push(failure!.message.split("\n")[0]!.slice(0, 40));
    }
    expect(messages).toEqual([
      "Error: a message of 60025 characters",
      "RangeError: x",
      "NixClosureError: malformed NAR at byte 1",
    ]);
  });

  it("takes an input that takes long for a defect", async () => {
    const slow = subject(() => {
      const start = process.threadCpuUsage();
      while (process.threadCpuUsage(start).user < 60_000);
      return accepted();
    });
    expect((await new Session(slow, 1).run({ executions: 1 }))?.message).toMatch(/took \d+ ms, at most 50/);
  });
});

test("JSON stays JSON when it is changed, and becomes everything that it can be", () => {
  const random = new Random(3, "json");
  const document = Buffer.from('{"a":[1,{"b":"text"}],"c":null}');
  const seen = new Set<string>();
  for (let time = 0; time < 500; time++) {
    const changed = mutateJson(document, document, random);
    seen.add(JSON.stringify(JSON.parse(Buffer.from(changed!).toString())));
  }
  expect(seen.size).toBeGreaterThan(200);
  expect([...seen].some((text) => text.includes('"__proto__"'))).toBe(true);
  expect(mutateJson(Buffer.from("{"), document, random)).toBeUndefined();
});

test("NARs keep their lengths and padding when they are changed, and stay NARs often enough", () => {
  const random = new Random(3, "nar");
  const nar = writeNar(
    directory({ a: file, b: directory({ c: file }), d: { type: "symlink", target: Buffer.from("x") } }),
  );
  const outcomes = new Map<string, number>();
  for (let time = 0; time < 2000; time++) {
    let outcome = "read";
    try {
      recordNar(mutateNar(nar, nar, random)!);
    } catch (error) {
      outcome = String(error).replaceAll(/byte [0-9]+/g, "");
    }
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  expect(outcomes.get("read")).toBeGreaterThan(100);
  expect([...outcomes.keys()].filter((text) => text.includes("padding"))).toEqual([]);
  for (const reason of ["ascending", 'has a "/"', "zero byte", "is empty"])
    expect(
      [...outcomes.keys()].some((text) => text.includes(reason)),
      reason,
    ).toBe(true);
});

test("what is tried can be seen from another thread", () => {
  const shared = sharedInput();
  noteInput(shared, "nar", Buffer.from("first input"));
  noteInput(shared, "config", Buffer.from("second"));
  expect(inputOf(shared)).toEqual({
    count: 2,
    target: "config",
    input: Uint8Array.from(Buffer.from("second")),
  });
});

test("the report has a test for each target", () => {
  const failure = {
    target: "b",
    seed: 1,
    execution: 5,
    message: "why",
    input: Buffer.of(),
    shrunk: Buffer.of(),
  };
  const result = { executions: 5, accepted: 1, kinds: 2 };
  expect(
    reportOf([
      { target: "a", ...result },
      { target: "b", ...result, failure },
    ]),
  ).toMatchObject({
    numTotalTests: 2,
    numPassedTests: 1,
    numFailedTests: 1,
    numPendingTests: 0,
    numTodoTests: 0,
    success: false,
    testResults: [
      {
        status: "failed",
        assertionResults: [
          { fullName: "fuzz a", status: "passed", failureMessages: [] },
          { fullName: "fuzz b", status: "failed", failureMessages: ["why"] },
        ],
      },
    ],
  });
});

describe("each target", () => {
  test.each(targetNames)("%s takes its seeds, and holds for some more inputs", async (name) => {
    const target = await loadTarget(name);
    const session = new Session(target, 1);
    expect(await session.run({ executions: target.seeds.length })).toBeUndefined();
    // Some golden files are of Pods that are refused.
    if (["annotations", "review"].includes(name))
      expect(session.accepted).toBeGreaterThan(target.seeds.length / 2);
    else expect(session.accepted).toBe(target.seeds.length);
    expect(await session.run({ executions: target.seeds.length + 150 })).toBeUndefined();
    expect(session.kinds).toBeGreaterThan(3);
  });
});
