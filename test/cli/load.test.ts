import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

// The test runner mends imports of names that a CommonJS package does not show to Node.
test("Node loads every module of the command line without a test runner's help", async () => {
  const app = new URL("../../src/cli/app.ts", import.meta.url).href;
  const script = `const { runCli } = await import(${JSON.stringify(app)}); console.log(typeof runCli);`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script]);
  expect(stdout.trim()).toBe("function");
});
