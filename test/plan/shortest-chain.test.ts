import { expect, test } from "vitest";
import { storePathName } from "../../src/nix/store-path.ts";
import { shortestChain } from "../../src/plan/shortest-chain.ts";
import { madeClosure, madePath, type MadePath } from "../patch/closures.ts";

/** Two ways from app to libc, of which the one by tool is longer; most refer to themselves, as programs do. */
const paths: readonly MadePath[] = [
  { name: "libc", references: ["libc"] },
  { name: "zlib", references: ["libc", "zlib"] },
  { name: "tool", references: ["zlib", "tool"] },
  { name: "shell", references: ["libc", "shell"] },
  { name: "app", references: ["tool", "shell", "app"] },
  { name: "other", references: ["zlib"] },
];

test.for<[roots: readonly string[], to: string, chain: string]>([
  [["app"], "app", "app"],
  [["app"], "shell", "app shell"],
  [["app"], "libc", "app shell libc"],
  [["app"], "zlib", "app tool zlib"],
  [["app", "other"], "zlib", "other zlib"],
  [["app", "tool"], "tool", "tool"],
  [["other", "app"], "libc", "other zlib libc"],
  [["app", "other"], "libc", "app shell libc"],
  [["app"], "other", ""],
])("from %j to %s: %s", ([roots, to, chain]) => {
  const { closure } = madeClosure(roots, paths);
  const path = closure.paths.find(({ storePath }) => storePathName(storePath) === to)!.storePath;
  expect(shortestChain(closure, path).map(storePathName).join(" ")).toBe(chain);
});

test("of two that are equally short, the one whose paths come first by hash", () => {
  const diamond = [
    { name: "libc" },
    { name: "left", references: ["libc"] },
    { name: "right", references: ["libc"] },
    { name: "app", references: ["right", "left"] },
  ];
  const { closure } = madeClosure(["app"], diamond);
  expect(shortestChain(closure, madePath(0, "libc")).map(storePathName)).toEqual(["app", "left", "libc"]);
});

test("a cycle, which a hostile cache may tell of, has an end", () => {
  const { closure } = madeClosure(
    ["a"],
    [
      { name: "a", references: ["b"] },
      { name: "b", references: ["c"] },
      { name: "c", references: ["a", "b"] },
    ],
  );
  expect(shortestChain(closure, madePath(2, "c")).map(storePathName)).toEqual(["a", "b", "c"]);
  expect(shortestChain(closure, madePath(3, "nothing"))).toEqual([]);
});

test("a closure as long as one may be takes no time that anyone notices", () => {
  const long = Array.from({ length: 3844 }, (_, i) => ({
    name: `p${i}`,
    references: [`p${Math.max(0, i - 1)}`],
  }));
  const { closure } = madeClosure(["p3843"], long);
  expect(shortestChain(closure, madePath(0, "p0"))).toHaveLength(3844);
});
