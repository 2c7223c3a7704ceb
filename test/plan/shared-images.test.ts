import { expect, test } from "vitest";
import { planClosures, type KnownClosure, type Plan, type Strategy } from "../../src/plan/plan.ts";
import { presentImages } from "../../src/plan/shared-images.ts";
import { madeClosure, type MadePath } from "../patch/closures.ts";
import { pushClosure } from "./pushed-closures.ts";

const paths: readonly MadePath[] = [
  { name: "conf", type: "regular" },
  { name: "libc" },
  { name: "tool", references: ["libc"] },
  { name: "app", references: ["tool", "conf"] },
  { name: "admin", references: ["tool", "conf"] },
  { name: "plain", references: ["libc"] },
];

function closureOf(root: string, source = "demo"): KnownClosure {
  const { types, closure: all } = madeClosure([root], paths);
  // What the root does not need is not in its closure.
  const needed = new Set(all.roots);
  for (const path of needed) for (const reference of all.byPath.get(path)!.references) needed.add(reference);
  const infos = all.paths.filter(({ storePath }) => needed.has(storePath));
  const byPath = new Map(infos.map((info) => [info.storePath, info]));
  const closure = { ...all, paths: infos, byPath };
  return { source, closure, types, profileRoots: new Set(closure.roots) };
}

const rules = { maxImages: 8, host: "localhost:5417", maxImageBytes: Infinity };

function plan(root: string, strategy: Strategy, source?: string): Plan {
  return planClosures([closureOf(root, source)], { ...rules, strategy })[0]!;
}

/** The closure of a root where it was pushed, each directory with a volume of its own. */
function pushed(root: string, repository: string): Plan {
  const known = closureOf(root);
  const images = pushClosure(known, repository, ["per-path"]);
  return planClosures([{ ...known, pushed: images }], { ...rules, strategy: "per-path" })[0]!;
}

const i = "image";
const c = "content";
const n = "nothing";

test.for<[string, Plan, others: readonly Plan[], readonly string[]]>([
  ["nothing beside nothing", plan("plain", "per-path"), [], [n, n]],
  ["itself", plan("plain", "per-path"), [plan("plain", "per-path")], [i, i]],
  // The store images of both hold conf, with other mount points beside it.
  ["all but the root", plan("app", "per-path"), [plan("admin", "per-path")], [c, n, i, i]],
  ["a part", plan("app", "per-path"), [plan("plain", "per-path")], [n, n, i, n]],
  ["bundles of the same but the root", plan("app", "bundle"), [plan("admin", "bundle")], [c, n]],
  ["bundles that overlap", plan("plain", "bundle"), [plan("app", "bundle")], [n, n]],
  [
    "what was pushed, beside our registry",
    pushed("plain", "registry.example.com/a"),
    [plan("plain", "per-path")],
    [n, n],
  ],
  [
    "what was pushed, beside the same",
    pushed("plain", "registry.example.com/a"),
    [pushed("app", "registry.example.com/a")],
    [n, i],
  ],
  [
    "what was pushed, beside another repository",
    pushed("plain", "registry.example.com/a"),
    [pushed("plain", "registry.example.com/b")],
    [n, n],
  ],
  ["another source's", plan("plain", "per-path"), [plan("plain", "per-path", "other")], [c, c]],
  // A path image is not packed as a store image of that one path.
  ["a path in a store image", plan("plain", "per-path"), [plan("plain", "bundle")], [i, n]],
  [
    "what several have together",
    plan("app", "per-path"),
    [plan("plain", "per-path"), plan("tool", "per-path")],
    [n, n, i, i],
  ],
])("a node has of a plan beside %s", ([, ours, others, presence]) => {
  expect(presentImages(ours, others)).toEqual(presence);
});

test("equal paths with other content share nothing but their name", () => {
  const ours = plan("plain", "per-path");
  const [first, ...rest] = ours.closure.paths.map((info) => ({
    ...info,
    narHash: `${info.narHash}x` as never,
  }));
  const byPath = new Map([first!, ...rest].map((info) => [info.storePath, info]));
  const other = { ...plan("plain", "per-path", "other"), closure: { ...ours.closure, byPath } };
  expect(presentImages(ours, [other])).toEqual([n, n]);
});
