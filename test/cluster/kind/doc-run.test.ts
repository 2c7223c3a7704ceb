import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runDocSection, sectionsWithCommands } from "./doc-run.ts";

let directory: string;
let page: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "nix-closure-doc-"));
  page = join(directory, "page.md");
  const block = (...lines: string[]): string => ["```sh", ...lines, "```"].join("\n");
  const text = [
    "## First",
    block("word=hello", "sleep 1000 &"),
    "Then:",
    block('echo "$word $FROM_OUTSIDE"', "test -f package.json", "replace me"),
    "## Second",
    block("false", "echo never"),
    "## Prose",
    "nothing",
  ];
  await writeFile(page, text.join("\n"));
});

afterAll(() => rm(directory, { recursive: true }));

test("a section's commands run in one shell, in the clone, and leave nothing running", async () => {
  const said: string[] = [];
  const output = await runDocSection({
    page,
    section: "First",
    env: { FROM_OUTSIDE: "you" },
    substitutions: [{ pattern: /^replace me$/, replacement: () => "echo replaced", reason: "a test" }],
    onLine: (text) => said.push(text),
  });
  // It holds our pipe: we would wait for it.
  expect(output).toBe("hello you\nreplaced\n");
  expect(said.at(-1)).toBe("  run as: echo replaced (a test)");
  expect(said.filter((line) => line.startsWith("$ "))).toHaveLength(5);
});

test("a command that fails ends the section with an error", async () => {
  const section = { page, section: "Second", env: {}, onLine: () => {} };
  await expect(runDocSection(section)).rejects.toThrow("exit code 1");
});

test("a section without commands is an error", async () => {
  const section = { page, section: "Prose", env: {}, onLine: () => {} };
  await expect(runDocSection(section)).rejects.toThrow('has no commands below "Prose"');
  expect(await sectionsWithCommands(page)).toEqual(["First", "Second"]);
});
