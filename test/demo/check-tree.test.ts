import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { checkTree } from "../../demo/check-tree.ts";
import { narHashOf } from "../../demo/nar-hash.ts";
import { removeScratch } from "../../demo/scratch.ts";
import type { Closure } from "../../src/nix/closure.ts";
import { demoNarInfos } from "../nix/demo-cache.ts";

let root = "";
let closure: Closure;
const stage = {
  scratch: "",
  signal: new AbortController().signal,
  output: { title() {}, step() {}, line() {}, progress() {}, clear() {} },
};

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "nix-closure-tree-test-"));
  const [info] = demoNarInfos();
  if (info === undefined) throw new Error("the demo's cache is empty");
  const tree = join(root, info.storePath);
  mkdirSync(join(tree, "bin"), { recursive: true });
  writeFileSync(join(tree, "bin/run"), "#!/bin/sh\n", { mode: 0o555 });
  symlinkSync("run", join(tree, "bin/link"));
  // What the tree hashes to now is what the cache is taken to have signed.
  const signed = { ...info, narHash: await narHashOf(tree) };
  closure = {
    roots: [info.storePath],
    paths: [signed],
    byPath: new Map([[info.storePath, signed]]),
    narSize: 0,
  };
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const tree = (): string => join(root, closure.paths[0]!.storePath);

test("takes a tree that is as signed, whatever its owner's write permission", async () => {
  chmodSync(join(tree(), "bin/run"), 0o755);
  await checkTree(stage, root, closure);
});

test.each<[string, () => void]>([
  ["a changed byte", () => changeFile("#!/bin/ah\n")],
  ["a longer file", () => changeFile("#!/bin/sh\n\n")],
  ["a lost executable bit", () => chmodSync(join(tree(), "bin/run"), 0o444)],
  [
    "another target",
    () => (rmSync(join(tree(), "bin/link")), symlinkSync("./run", join(tree(), "bin/link"))),
  ],
  ["a file too many", () => writeFileSync(join(tree(), "more"), "")],
  ["a missing file", () => rmSync(join(tree(), "bin/link"))],
])("refuses a tree with %s", async (_name, damage) => {
  damage();
  await expect(checkTree(stage, root, closure)).rejects.toThrow(/^\/nix\/store\/.* was unpacked to sha256:/);
});

test("removes what is read-only", async () => {
  chmodSync(join(tree(), "bin"), 0o555);
  chmodSync(tree(), 0o000);
  await removeScratch(root);
  expect(() => mkdirSync(root)).not.toThrow();
});

function changeFile(text: string): void {
  chmodSync(join(tree(), "bin/run"), 0o755);
  writeFileSync(join(tree(), "bin/run"), text);
}
