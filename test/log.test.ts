import { describe, expect, test } from "vitest";
import Fastify from "fastify";
import { narInfoInvalid } from "../src/errors.ts";
import { createLogger, describeError, logLevels, type LogLevel } from "../src/log.ts";

/** A logger, and the lines that it has written so far. */
function collect(level: LogLevel = "info") {
  const written: string[] = [];
  const log = createLogger({ level, destination: { write: (line) => void written.push(line) } });
  return { log, written, lines: () => written.map((line) => JSON.parse(line)) };
}

describe("a line", () => {
  test("is one JSON object with the level in words and the time in ISO 8601, and nothing of the machine", () => {
    const { log, written, lines } = collect();
    log.info({ uid: "u1", note: "two\nlines" }, "admitted");
    expect(written).toHaveLength(1);
    expect(written[0]).toMatch(/^[^\n]+\n$/);
    expect(lines()).toEqual([
      {
        level: "info",
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        uid: "u1",
        note: "two\nlines",
        msg: "admitted",
      },
    ]);
  });

  test.each(logLevels.map((level, index) => [level, index] as const))("at level %s", (level, index) => {
    const { log, lines } = collect(level);
    for (const each of logLevels) if (each !== "silent") log[each]("event");
    expect(lines().map((line) => line.level)).toEqual(
      logLevels.slice(index).filter((each) => each !== "silent"),
    );
  });
});

describe("an error", () => {
  const root = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
  const middle = new TypeError("fetch failed", { cause: root });
  const error = narInfoInvalid("no StorePath").causedBy(middle);

  test.each(["err", "error"])("under %s is code, message and the chain of its causes", (key) => {
    const { log, lines } = collect();
    log.error({ [key]: error }, "failed");
    expect(lines()[0]).toMatchObject({ msg: "failed" });
    expect(lines()[0][key]).toEqual({
      code: "NARINFO_INVALID",
      message: "malformed narinfo: no StorePath",
      cause: {
        code: "TypeError",
        message: "fetch failed",
        cause: { code: "ECONNREFUSED", message: "connect ECONNREFUSED" },
      },
    });
  });

  test("alone is written the same way", () => {
    const { log, lines } = collect();
    log.error(error);
    expect(lines()[0]).toMatchObject({
      err: { code: "NARINFO_INVALID" },
      msg: "malformed narinfo: no StorePath",
    });
  });

  test.each<[LogLevel, boolean]>([
    ["warn", false],
    ["info", false],
    ["debug", true],
    ["trace", true],
  ])("at level %s has stacks: %s", (level, stacks) => {
    const { log, written } = collect(level);
    log.error({ err: error }, "failed");
    expect(written[0]?.includes("log.test.ts")).toBe(stacks);
    expect(written[0]?.match(/"stack":/g)?.length ?? 0).toBe(stacks ? 3 : 0);
  });

  test("may be its own cause", () => {
    const loop = new Error("loop");
    loop.cause = loop;
    expect(JSON.stringify(describeError(loop, { stacks: false })).match(/loop/g)).toHaveLength(8);
  });

  test("of several attempts shows the first four of them", () => {
    const attempts = new AggregateError([1, 2, 3, 4, 5].map((n) => new Error(`attempt ${n}`)));
    expect(describeError(attempts, { stacks: false })).toEqual({
      code: "AggregateError",
      message: "",
      errors: [1, 2, 3, 4].map((n) => ({ code: "Error", message: `attempt ${n}` })),
    });
  });

  test.each([
    ["text", { code: "string", message: "text" }],
    [undefined, { code: "undefined", message: "undefined" }],
  ])("that is none: %s", (thrown, logged) => {
    expect(describeError(thrown, { stacks: true })).toEqual(logged);
  });
});

describe("secrets", () => {
  test.each([
    ["at the top", { authorization: "Bearer s3cret" }],
    ["in headers", { headers: { authorization: "Bearer s3cret" } }],
    ["in a request's headers", { request: { headers: { authorization: "Bearer s3cret" } } }],
    ["three deep", { a: { b: { c: { "proxy-authorization": "Basic s3cret" } } } }],
    ["in upper case", { headers: { Authorization: "Bearer s3cret" } }],
  ])("are removed %s", (_, fields) => {
    const { log, written } = collect();
    const before = structuredClone(fields);
    log.info(fields, "asked");
    log.child(fields).info("asked");
    for (const line of written) expect(line).toContain("[removed]");
    expect(written.join()).not.toContain("s3cret");
    expect(fields).toEqual(before);
  });
});

test("the lines of a Fastify server look the same", async () => {
  const { log, lines } = collect();
  const server = Fastify({ loggerInstance: log });
  server.get("/", async (request) => {
    request.log.error({ err: narInfoInvalid("no URL"), headers: request.headers }, "failed");
    return "";
  });
  await server.inject({ url: "/", headers: { authorization: "Bearer s3cret" } });
  await server.close();
  const failed = lines().find((line) => line.msg === "failed");
  expect(failed.err).toEqual({ code: "NARINFO_INVALID", message: "malformed narinfo: no URL" });
  expect(failed.headers.authorization).toBe("[removed]");
  expect(failed.level).toBe("error");
});
