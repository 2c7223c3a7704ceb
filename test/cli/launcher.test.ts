import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { capture } from "../../demo/child.ts";
import { version } from "../../src/cli/version.ts";
import { until } from "../service/demo-cache.ts";
import { Child, launcher, runChild } from "./child-process.ts";
import { configFile, scratch } from "./fake-process.ts";

/** A Node.js that cannot run the source itself, so that the launcher starts another. */
const oldNode = ["/usr/bin/node", "/usr/local/bin/node"].find((file) => {
  if (!existsSync(file)) return false;
  const major = /^v(\d+)/.exec(execFileSync(file, ["--version"], { encoding: "utf8" }))?.[1];
  return Number(major) < 24;
});
const skip = oldNode === undefined || process.platform !== "linux";

/** The processes that a process has started (proc_pid_task(5)). */
async function childrenOf(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
  return text.split(" ").filter(Boolean).map(Number);
}

/** True while a process is there, dead but not waited for included. */
function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(process.platform !== "linux")(
  "a push has one heap of the C library (skipped where it is no Linux)",
  () => {
    const hook = "data:text/javascript,console.error('arenas '+process.env.MALLOC_ARENA_MAX)";

    test.each([
      ["push", undefined, ["undefined", "1"]],
      ["push", "3", ["3"]],
      ["plan", undefined, ["undefined"]],
    ] as const)("%s with MALLOC_ARENA_MAX %s", async (command, given, seen) => {
      const { MALLOC_ARENA_MAX: _, ...env } = process.env;
      const child = spawn(process.execPath, ["--import", hook, launcher, command, "--help"], {
        env: { ...env, ...(given !== undefined && { MALLOC_ARENA_MAX: given }) },
        stdio: ["ignore", "pipe", "pipe"],
      });
      const { code, stdout, stderr } = await capture(child);
      expect(code, stderr).toBe(0);
      expect(stdout).toContain(`nix-closure ${command}`);
      expect([...stderr.matchAll(/^arenas (.*)$/gm)].map(([, value]) => value)).toEqual(seen);
    });
  },
);

describe.skipIf(skip)("between launcher and program (skipped without an older Node.js or /proc)", () => {
  async function serve(): Promise<{ child: Child; inner: number }> {
    const config = await configFile({
      admin: { listen: "127.0.0.1:0" },
      registry: { listen: "127.0.0.1:0", blobs: { directory: await scratch() } },
    });
    const args = [launcher, "serve", "--role", "registry", "--config", config];
    const child = new Child(oldNode ?? "", args);
    await child.serving();
    const children = await childrenOf(child.process.pid!);
    expect(children).toHaveLength(1);
    return { child, inner: children[0]! };
  }

  test.each(["SIGTERM", "SIGINT"] as const)("%s to the launcher leaves no process", async (signal) => {
    const { child, inner } = await serve();
    child.kill(signal);
    expect(await child.ended).toMatchObject({ code: 0, signal: null, stderr: "" });
    await until(() => !isThere(inner));
  });

  test.each([
    ["SIGKILL", 137],
    ["SIGUSR2", 140],
  ] as const)("a program that %s ends is told of as a shell does", async (signal, code) => {
    const { child, inner } = await serve();
    process.kill(inner, signal);
    expect(await child.ended).toMatchObject({ code, signal: null });
  });

  test("a terminal that goes away ends both", async () => {
    const { child, inner } = await serve();
    child.kill("SIGHUP");
    expect(await child.ended).toMatchObject({ code: 129, signal: null });
    await until(() => !isThere(inner));
  });
});

test.skipIf(skip)(
  "an older Node.js without ours says what to do (skipped without an older Node.js)",
  async () => {
    const directory = await scratch();
    await mkdir(join(directory, "bin"));
    await cp(launcher, join(directory, "bin", "nix-closure.js"));
    await cp(new URL("../../package.json", import.meta.url), join(directory, "package.json"));
    const outcome = await runChild(oldNode ?? "", [join(directory, "bin", "nix-closure.js"), "--version"]);
    expect(outcome).toEqual({
      code: 1,
      signal: null,
      stdout: "",
      stderr: "nix-closure: needs Node 24 or later; install it, or install with optional dependencies\n",
    });
  },
);

test("npx needs no network in a checkout", async () => {
  const cwd = join(launcher, "..", "..");
  const { code, stdout } = await runChild("npx", ["--no-install", "nix-closure", "--version"], { cwd });
  expect([code, stdout]).toEqual([0, `${version}\n`]);
});
