/** docs/limits.md says which clients were tried. */
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { moduleVersions } from "./programs.ts";

const page = await readFile(new URL("../../docs/limits.md", import.meta.url), "utf8");

test.for(["crane", "oras"])("the version of %s is the one that is built", (name) => {
  const [, version] = new RegExp(`^\\| ${name} +\\| (\\S+) +\\|`, "m").exec(page) ?? [];
  expect(version).toBe(moduleVersions[name]);
});

test("the revision of the conformance suite is the one that is built", () => {
  const revision = moduleVersions["conformance"]?.split("-").at(-1);
  expect(/\(the revision (\w+)\)/.exec(page)?.[1]).toBe(revision);
});
