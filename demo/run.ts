import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { InsideEvent, InsideJob } from "./inside.ts";
import type { Sandbox } from "./sandbox.ts";

/** A program to be run from an unpacked root. */
export interface Program {
  readonly root: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Number of the user that it runs as. */
  readonly user: string;
  /** The port of a page that it serves; undefined: it ends by itself. */
  readonly port?: number | undefined;
}

/** From the end of its standard input, after which the inner process has nothing to do but end. Milliseconds. */
const graceMs = 2_000;

/**
 * Runs a program in a sandbox and tells what happens there. When it returns or throws, all processes and mounts of the
 * sandbox are gone.
 *
 * @throws Error if the program does not start, or nothing comes of it; the signal's reason
 */
export async function runProgram(
  sandbox: Sandbox,
  program: Program,
  onEvent: (event: InsideEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  const { root, env, port, user, command } = program;
  const job: InsideJob = {
    root,
    command: [...sandbox.changeRoot(root, user), ...command],
    env,
    port,
    ownNetwork: sandbox.ownNetwork,
  };
  const inside = fileURLToPath(new URL("inside.ts", import.meta.url));
  const [file, ...args] = [...sandbox.enter, process.execPath, inside, JSON.stringify(job)];
  signal.throwIfAborted();
  const child = spawn(file, args, { stdio: ["pipe", "pipe", "pipe"] });
  const closed = once(child, "close");
  let killer: NodeJS.Timeout | undefined;
  const end = (): void => {
    child.stdin.end();
    killer ??= setTimeout(() => child.kill("SIGKILL"), graceMs);
  };
  signal.addEventListener("abort", end);
  let failure: string | undefined;
  let stderr = "";
  let last: InsideEvent | undefined;
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const lines = createInterface({ input: child.stdout }).on("line", (line) => {
    last = JSON.parse(line) as InsideEvent;
    if (last.event === "failed") failure = last.message;
    else onEvent(last);
  });
  try {
    await Promise.all([closed, once(lines, "close")]);
  } finally {
    clearTimeout(killer);
    signal.removeEventListener("abort", end);
  }
  signal.throwIfAborted();
  if (failure !== undefined) throw new Error(failure);
  if (last?.event !== "ended")
    throw new Error(`the sandbox broke down: ${stderr.trim().split("\n").at(-1) ?? ""}`);
}
