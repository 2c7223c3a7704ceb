import { describe, expect, test } from "vitest";
import { storePathName } from "../../src/nix/store-path.ts";
import { reachable, reduceRoots } from "../../src/plan/graph.ts";
import { madeClosure } from "../patch/closures.ts";

/** libc <- tool <- app, and other <- libc is not. */
const paths = [
  { name: "libc", references: ["libc"] },
  { name: "tool", references: ["libc"] },
  { name: "app", references: ["tool", "app"] },
  { name: "other" },
];

describe("reduceRoots", () => {
  test.for<[readonly string[], readonly string[]]>([
    [["app"], ["app"]],
    [["libc"], ["libc"]],
    [["app", "libc"], ["app"]],
    [["libc", "tool", "app"], ["app"]],
    [
      ["tool", "other"],
      ["tool", "other"],
    ],
    [
      ["other", "app"],
      ["app", "other"],
    ],
    [["app", "app"], ["app"]],
    [[], []],
  ])("%j come down to %j", ([roots, expected]) => {
    const { closure } = madeClosure(roots, paths);
    expect(reduceRoots(closure).map(storePathName)).toEqual(expected);
  });

  test("leaves one root of a cycle", () => {
    const { closure } = madeClosure(
      ["a", "b"],
      [
        { name: "a", references: ["b"] },
        { name: "b", references: ["a"] },
      ],
    );
    expect(reduceRoots(closure).map(storePathName)).toEqual(["a"]);
  });
});

test("reachable follows references from one path, itself included", () => {
  const { closure } = madeClosure(["app", "other"], paths);
  const [libc, tool, app, other] = closure.paths.map(({ storePath }) => storePath);
  expect(reachable(closure, app!)).toEqual(new Set([app, tool, libc]));
  expect(reachable(closure, libc!)).toEqual(new Set([libc]));
  expect(reachable(closure, other!)).toEqual(new Set([other]));
});
