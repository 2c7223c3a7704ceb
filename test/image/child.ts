import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

import { onTestFinished } from "vitest";

import { compileCache } from "../compile-cache.ts";

import type { ChildAnswer, ChildWork } from "./images-child.ts";

export { compileCache };

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
