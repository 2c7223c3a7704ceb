import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterAll, onTestFinished } from "vitest";

import type { ChildAnswer, ChildWork } from "./images-child.ts";

/** Node keeps compiled modules in it, so that only the first child takes long to start. */
const compileCache = mkdtempSync(join(tmpdir(), "nix-closure-compiled-"));
afterAll(() => rm(compileCache, { recursive: true }));

/** Starts images in another process; it is at work when this returns, and is killed with the test. */
export async function startChild(work: ChildWork): Promise<ChildProcess> {
  const child = fork(fileURLToPath(new URL("images-child.ts", import.meta.url)), [JSON.stringify(work)], {
    env: { ...process.env, NODE_COMPILE_CACHE: compileCache },
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const [message] = (await Promise.race([once(child, "message"), once(child, "exit")])) as [unknown];
  if (message !== "started") throw new Error(`the child did not start: ${String(message)}`);
  return child;
}

/** Lets another process make all images once. */
export async function runChild(work: Omit<ChildWork, "mode">): Promise<ChildAnswer> {
  const child = await startChild({ ...work, mode: "once" });
  const [answer] = (await Promise.race([once(child, "message"), once(child, "exit")])) as [unknown];
  if (typeof answer !== "object") throw new Error(`the child ended early`);
  return answer as ChildAnswer;
}
