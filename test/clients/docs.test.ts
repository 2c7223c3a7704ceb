/** docs/limits.md says which clients were tried, docs/registries.md which registries. */
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { run } from "./fixture.ts";
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

test("the versions of registries are those that were tried", async () => {
  const registries = await readFile(new URL("../../docs/registries.md", import.meta.url), "utf8");
  const version = (name: string): string | undefined =>
    new RegExp(`^\\|[^|]*\\[${name}\\][^|]*\\| (\\S+) +\\|`, "m").exec(registries)?.[1];
  expect(version("distribution")).toBe(moduleVersions["distribution"]);
  expect(await run("docker-registry", "--version")).toContain(` ${version("docker-registry")}+`);
});
