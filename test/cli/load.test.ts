import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { promisify } from "node:util";
import { expect, test } from "vitest";

/** Programs of their own: they begin to work when they are loaded. */
const programs = ["main.ts", "image/conversion-worker.ts"];

// The test runner mends imports of names that a CommonJS package does not show to Node.
test("Node loads every module without a test runner's help", async () => {
  const source = new URL("../../src/", import.meta.url);
  const modules = (await readdir(source, { recursive: true })).filter(
    (name) => name.endsWith(".ts") && !name.endsWith(".d.ts") && !programs.includes(name),
  );
  const urls = modules.map((name) => new URL(name, source).href);
  const script = `for (const url of ${JSON.stringify(urls)}) await import(url); console.log(${urls.length})`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script]);
  expect(stdout.trim()).toBe(String(modules.length));
  expect(modules.length).toBeGreaterThan(50);
});
