import { existsSync, readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as catalogue from "../src/errors.ts";
import {
  type ErrorKind,
  errorKinds,
  formatBytes,
  internal,
  maxListed,
  nearest,
  NixClosureError,
  quote,
  throwTogether,
  toNixClosureError,
  tooManyRoots,
  volumeConflict,
} from "../src/errors.ts";
import { failureOf } from "./nix/failure.ts";

const root = new URL("../", import.meta.url);

/** The factories, with the names under which the source imports them. */
const factories = Object.entries(catalogue).filter(
  (entry): entry is [string, (typeof entry)[1] & ErrorKind & ((...args: never[]) => NixClosureError)] =>
    typeof entry[1] === "function" && "code" in entry[1],
);

describe("error codes", () => {
  test("are unique, each with one factory that is named like it", () => {
    expect(factories.map(([, { code }]) => code).toSorted()).toEqual([...errorKinds.keys()].toSorted());
    for (const [name, { code }] of factories) {
      expect(code.replaceAll("_", "").toLowerCase()).toBe(name.toLowerCase());
    }
  });

  test("are in upper case, with an HTTP status that an error can have", () => {
    for (const { code, status } of errorKinds.values()) {
      expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
      expect([400, 403, 404, 409, 422, 429, 500, 502, 503, 504]).toContain(status);
    }
  });

  test("have a paragraph of their own each in docs/errors.md, which has no other ones", () => {
    const file = new URL("docs/errors.md", root);
    const text = existsSync(file) ? readFileSync(file, "utf8") : "";
    const paragraphs = text.split(/^## /m).slice(1);
    const headings = paragraphs.map((paragraph) => paragraph.split("\n", 1)[0]);
    expect(new Set(headings)).toEqual(new Set(errorKinds.keys()));
    expect(headings).toHaveLength(errorKinds.size);
    for (const paragraph of paragraphs) expect(paragraph.split("\n").slice(1).join("").trim()).not.toBe("");
  });

  test("are all in use", () => {
    const files = readdirSync(new URL("src/", root), { recursive: true, encoding: "utf8" });
    const source = files
      .filter((name) => name.endsWith(".ts") && name !== "errors.ts")
      .map((name) => readFileSync(new URL(`src/${name}`, root), "utf8"))
      .join("\n");
    const unused = factories
      .map(([name]) => name)
      .filter((name) => !new RegExp(`\\b${name}\\b`).test(source));
    expect(unused).toEqual([]);
  });
});

test("an error tells its code, its status, and where to read more", () => {
  const error = tooManyRoots(7, 6);
  expect(error).toBeInstanceOf(NixClosureError);
  expect([error.code, error.status, error.temporary]).toEqual(["TOO_MANY_ROOTS", 422, false]);
  expect(error.toLine()).toMatch(
    /^7 roots do not fit .* \[TOO_MANY_ROOTS, see docs\/errors\.md#too_many_roots\]$/,
  );
});

test("an error is temporary where the same request can succeed later", () => {
  for (const [, factory] of factories) {
    const error = new NixClosureError(factory, "x");
    expect(error.temporary).toBe([429, 503, 504].includes(factory.status));
  }
});

test("place and cause are added, the code stays", () => {
  const cause = new Error("because");
  const error = volumeConflict("v").causedBy(cause).within("container app");
  expect(error.code).toBe("VOLUME_CONFLICT");
  expect(error.cause).toBe(cause);
  expect(error.message).toMatch(/^container app: the Pod has a volume named v /);
});

test("what is not one of our errors becomes INTERNAL, with its cause", () => {
  const own = internal("x");
  expect(toNixClosureError(own)).toBe(own);
  const bug = new TypeError("y is not a function");
  expect(toNixClosureError(bug)).toMatchObject({ code: "INTERNAL", cause: bug });
  expect(toNixClosureError(bug).message).toContain("y is not a function");
  expect(toNixClosureError("text").message).toContain("text");
});

describe("throwTogether", () => {
  test("does nothing without errors, and throws a single one as it is", () => {
    throwTogether([]);
    const error = volumeConflict("v");
    expect(failureOf(() => throwTogether([error]))).toBe(error);
  });

  test("puts several into one, with their codes", () => {
    const error = failureOf(() => throwTogether([volumeConflict("v"), tooManyRoots(7, 6)]));
    expect(error.code).toBe("ANNOTATIONS_INVALID");
    expect(error.message).toMatch(/ v .* \[VOLUME_CONFLICT\]; 7 roots .* \[TOO_MANY_ROOTS\]$/);
  });
});

test.for<[number, string]>([
  [0, "0 B"],
  [1023, "1023 B"],
  [1024, "1.0 KiB"],
  [1536, "1.5 KiB"],
  [20 * 1024 ** 2, "20.0 MiB"],
  [20 * 1024 ** 3, "20.0 GiB"],
  [5 * 1024 ** 5, "5120.0 TiB"],
])("%i bytes are %s", ([bytes, text]) => {
  expect(formatBytes(bytes)).toBe(text);
});

test("quoted text has no control characters, and an end", () => {
  expect(quote('a"b\n\u0007')).toBe('"a\\"b\\n\\u0007"');
  expect(quote("x".repeat(200))).toBe(`"${"x".repeat(200)}"`);
  expect(quote("x".repeat(201))).toBe(`"${"x".repeat(200)}…"`);
});

describe("errors together", () => {
  const many = (count: number, text = "x") =>
    Array.from({ length: count }, (_, index) => volumeConflict(`${text}${index}`));
  const messageOf = (errors: readonly NixClosureError[]) => failureOf(() => throwTogether(errors)).message;

  test("are all told, up to a number", () => {
    expect(messageOf(many(maxListed))).toContain(`x${maxListed - 1} of its own, a name`);
    expect(messageOf(many(maxListed))).not.toContain("and more");
    const message = messageOf(many(maxListed + 1));
    expect(message.match(/\[VOLUME_CONFLICT\]/g)).toHaveLength(maxListed);
    expect(message).toMatch(/; and more$/);
  });

  test("are cut when they are long", () => {
    expect(messageOf(many(30, "y".repeat(10_000))).length).toBeLessThan(25_000);
  });
});

describe("nearest", () => {
  test.for<[string, readonly string[], string | undefined]>([
    ["stratgy", ["containers", "strategy"], "strategy"],
    ["strategy", ["strategy"], "strategy"],
    ["STRATEGY", ["x", "strategy"], "x"],
    ["listem", ["listen", "list"], "listen"],
    ["ab", ["ac", "cb"], "ac"],
    ["", ["abc", "a"], "a"],
    ["x", [], undefined],
  ])("%j among %j is %j", ([word, known, expected]) => {
    expect(nearest(word, known)).toBe(expected);
  });

  test("looks at no more than the start of a long word", () => {
    const started = process.cpuUsage();
    expect(nearest(`strategy${"y".repeat(1_000_000)}`, ["x".repeat(60), "y".repeat(100)])).toBe(
      "y".repeat(100),
    );
    const { user, system } = process.cpuUsage(started);
    expect((user + system) / 1000).toBeLessThan(200);
  });

  test("is the word itself where it is known", () => {
    const words = fc.uniqueArray(fc.string(), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(words, fc.nat(), (known, at) => {
        const word = known[at % known.length]!;
        expect(nearest(word, known)).toBe(word);
      }),
    );
  });
});
