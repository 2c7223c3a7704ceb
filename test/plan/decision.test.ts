import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Closure, PathType } from "../../src/nix/closure.ts";
import type { StorePath } from "../../src/nix/store-path.ts";
import {
  closureCheck,
  decisionNeedsTypes,
  decodeDecision,
  encodeDecision,
  maxListed,
} from "../../src/plan/decision.ts";
import { parseImageName } from "../../src/plan/image-name.ts";
import { failureOf } from "../nix/failure.ts";
import { demoClosure, demoPath, demoTypes, madeClosure } from "../patch/closures.ts";

const types: readonly PathType[] = ["directory", "regular", "symlink"];

/** A closure of so many paths, the i-th of them of the i-th type. */
function closureOf(types: readonly PathType[]): {
  readonly closure: Closure;
  readonly types: ReadonlyMap<StorePath, PathType>;
  readonly at: (position: number) => StorePath;
} {
  const made = madeClosure(
    ["p0"],
    types.map((type, i) => ({ name: `p${i}`, type })),
  );
  return { ...made, at: (position) => made.closure.paths[position]!.storePath };
}

function encode(paths: readonly PathType[], own: readonly number[]): string | undefined {
  const { closure, types, at } = closureOf(paths);
  return encodeDecision(closure, new Set(own.map(at)), types);
}

const directories = (count: number): readonly PathType[] => Array.from({ length: count }, () => "directory");
const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

describe("encodeDecision", () => {
  test.for<[string | undefined, readonly PathType[], readonly number[]]>([
    ["n", ["directory", "regular"], []],
    ["a", ["directory", "regular"], [0]],
    ["a", directories(3), [0, 1, 2]],
    ["o01", ["directory", "directory", "regular"], [1]],
    ["o00", ["directory", "directory", "directory"], [0]],
    ["p01", ["directory", "directory", "directory"], [0, 2]],
    ["o0002", ["directory", "symlink", "directory", "directory", "directory"], [0, 2]],
    ["o9A", directories(600), [9 * 62 + 10]],
    ["o0Z0a0z10", directories(100), [35, 36, 61, 62]],
    ["ozz", directories(62 * 62), [62 * 62 - 1]],
    [`o${upTo(48).map(position).join("")}`, directories(200), upTo(48)],
    [undefined, directories(200), upTo(49)],
    [`p${upTo(48).map(position).join("")}`, directories(200), upTo(200).slice(48)],
    [undefined, directories(200), upTo(200).slice(49)],
  ])("%s", ([expected, paths, own]) => {
    expect(encode(paths, own)).toBe(expected);
  });

  test("speaks of all directories only where all types are known", () => {
    const { closure, types, at } = closureOf(directories(4));
    const own = new Set([at(0), at(1), at(2)]);
    const known = new Map([...types].filter(([path]) => path !== at(3)));
    expect(encodeDecision(closure, own, types)).toBe("p03");
    expect(encodeDecision(closure, own, known)).toBe("o000102");
    expect(encodeDecision(closure, new Set([at(0), at(1), at(2), at(3)]), known)).toBe("o00010203");
  });
});

describe("decodeDecision", () => {
  test.for<[decision: string, own: readonly number[]]>([
    ["n", []],
    ["a", [0, 1, 3]],
    ["o01", [1]],
    ["o0103", [1, 3]],
    ["p00", [1, 3]],
    ["p0002", [1, 3]],
    ["p000103", []],
  ])("%s", ([decision, own]) => {
    const { closure, types, at } = closureOf(["directory", "directory", "regular", "directory"]);
    expect(decodeDecision(decision, closure, types)).toEqual(new Set(own.map(at)));
  });

  test.for([
    ["o0100", "descends"],
    ["o0101", "repeats"],
    ["p0302", "descends"],
    ["o04", "leaves the closure"],
    ["ozz", "leaves the closure"],
    ["p0004", "leaves the closure"],
    ["o0", "has half a position"],
    ["o001", "has half a position"],
    ["o0-", "has a foreign digit"],
    ["o-1", "has a foreign digit"],
    ["o0é", "has a foreign digit"],
  ])("%s is refused: it %s", ([decision = ""]) => {
    const { closure, types } = closureOf(directories(4));
    const error = failureOf(() => decodeDecision(decision, closure, types));
    expect([error.code, error.status]).toEqual(["IMAGE_NAME_INVALID", 404]);
  });

  test("without a type that it needs is a bug of the caller", () => {
    const { closure } = closureOf(directories(2));
    expect(failureOf(() => decodeDecision("a", closure, new Map())).code).toBe("INTERNAL");
    expect(failureOf(() => decodeDecision("p00", closure, new Map())).code).toBe("INTERNAL");
    expect(decodeDecision("o00", closure, new Map()).size).toBe(1);
    expect(decodeDecision("n", closure, new Map()).size).toBe(0);
  });
});

test.for([
  ["a", true],
  ["n", false],
  ["o00", false],
  ["p00", true],
] as const)("decision %s needs types: %s", ([decision, needs]) => {
  expect(decisionNeedsTypes(decision)).toBe(needs);
});

test("what is encoded decodes to the same paths, and is a legal tag", () => {
  const cases = fc
    .array(fc.constantFrom(...types), { minLength: 1, maxLength: 300 })
    .chain((paths) =>
      fc.tuple(fc.constant(paths), fc.subarray(upTo(paths.length).filter((i) => paths[i] === "directory"))),
    );
  fc.assert(
    fc.property(cases, ([paths, own]) => {
      const { closure, types, at } = closureOf(paths);
      const expected = new Set(own.map(at));
      const decision = encodeDecision(closure, expected, types);
      const others = paths.filter((type) => type === "directory").length - own.length;
      if (decision === undefined) {
        expect(Math.min(own.length, others)).toBeGreaterThan(maxListed);
        return;
      }
      expect(decodeDecision(decision, closure, types)).toEqual(expected);
      const tag = `1-${decision}-${closureCheck(1, closure, decision)}`;
      expect(tag.length).toBeLessThanOrEqual(128);
      expect(parseImageName(`demo/closure/${"0".repeat(32)}`, tag)).toMatchObject({ decision });
    }),
  );
});

describe("closureCheck", () => {
  // Every replica of every version has to come to the same: a change here breaks Pods during a rolling upgrade.
  test("of a known closure is what it always was", () => {
    const mixed = demoClosure(demoPath("mixed-app-1.0"));
    expect(closureCheck(1, mixed, "a")).toBe("7f650aeaa1c337b8");
    expect(closureCheck(2, mixed, "a")).toBe("8550ae4a7b6db7be");
    expect(closureCheck(1, mixed, "o04")).toBe("6629bcdf17917326");
    expect(encodeDecision(mixed, new Set(), demoTypes)).toBe("n");
  });

  test("depends on version, paths and decision, and on nothing else", () => {
    const { closure } = closureOf(directories(3));
    const resized: Closure = {
      ...closure,
      roots: [],
      paths: closure.paths.map((info) => ({ ...info, narSize: 1 })),
    };
    expect(closureCheck(1, resized, "a")).toBe(closureCheck(1, closure, "a"));
    const different = [
      closureCheck(1, closure, "a"),
      closureCheck(2, closure, "a"),
      closureCheck(1, closure, "n"),
      closureCheck(1, { ...closure, paths: closure.paths.slice(1) }, "a"),
    ];
    expect(new Set(different).size).toBe(different.length);
    for (const check of different) expect(check).toMatch(/^[0-9a-f]{16}$/);
  });
});

function position(i: number): string {
  const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  return digits.charAt(Math.floor(i / 62)) + digits.charAt(i % 62);
}
