/**
 * The part of the demo that runs inside the namespaces, as their first process: when it ends, the kernel ends all
 * others there, and their mounts are gone. It says what happens in events, a JSON object a line.
 *
 * Its argument is an InsideJob as JSON; the end of its standard input means that nobody waits for it any more.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { capture } from "./child.ts";

export interface InsideJob {
  readonly root: string;
  /** The command with all that changes root and user. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Whether there is a loopback device to be switched on. */
  readonly ownNetwork: boolean;
  /** The port of a page that the command serves; undefined: it ends by itself. */
  readonly port?: number | undefined;
}

export type InsideEvent =
  /** The command wrote a line. */
  | { readonly event: "line"; readonly text: string }
  /** The page of a server came. */
  | { readonly event: "page"; readonly server: string; readonly text: string; readonly milliseconds: number }
  /** The command ended; with `stopped` because it was told to. */
  | { readonly event: "ended"; readonly code: number | null; readonly stopped: boolean }
  | { readonly event: "failed"; readonly message: string };

/** A program that does not come to its end, or a server that does not answer: something is wrong. Milliseconds. */
const patienceMs = 15_000;
/** From SIGTERM to SIGKILL. */
const graceMs = 3_000;
const pollMs = 25;

const job = JSON.parse(process.argv[2] ?? "{}") as InsideJob;
process.stdin.resume().once("end", () => process.exit(1));
try {
  await prepare(job);
  await run(job);
} catch (error) {
  say({ event: "failed", message: error instanceof Error ? error.message : String(error) });
}
process.exit();

function say(event: InsideEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

async function prepare({ root, ownNetwork }: InsideJob): Promise<void> {
  if (ownNetwork) await must("ip", "link", "set", "lo", "up");
  await must("mount", "--rbind", "/dev", `${root}/dev`);
  // A container's own /proc may be covered in part, and then the kernel allows no second one without the covers.
  if (!(await succeeds("mount", "-t", "proc", "proc", `${root}/proc`))) {
    await must("mount", "--rbind", "/proc", `${root}/proc`);
  }
}

async function run({ command, env, port }: InsideJob): Promise<void> {
  const [file = "", ...args] = command;
  const started = performance.now();
  const child = spawn(file, args, { env, cwd: "/", stdio: ["ignore", "pipe", "pipe"] });
  const failed = once(child, "error").then(([error]) => Promise.reject(error as Error));
  const lines = [child.stdout, child.stderr].map((input) =>
    once(createInterface({ input }).on("line", sayLine), "close"),
  );
  const ended = once(child, "close");
  const overdue = delay(patienceMs, undefined, { ref: false }).then(() => {
    throw new Error(`nothing came of ${file} in ${patienceMs / 1000} s`);
  });
  const page = port === undefined ? ended : Promise.race([ended, fetchPage(port, started)]);
  await Promise.race([page, failed, overdue]);
  const stopped = child.exitCode === null && child.signalCode === null;
  if (stopped) await stop(child);
  await ended;
  await Promise.all(lines);
  say({ event: "ended", code: child.exitCode, stopped });
}

function sayLine(text: string): void {
  say({ event: "line", text });
}

async function fetchPage(port: number, started: number): Promise<void> {
  for (;;) {
    try {
      const answer = await fetch(`http://127.0.0.1:${port}/`);
      const text = await answer.text();
      const milliseconds = performance.now() - started;
      say({ event: "page", server: answer.headers.get("server") ?? "", text, milliseconds });
      return;
    } catch {
      // Not listening yet.
      await delay(pollMs);
    }
  }
}

async function stop(child: ChildProcess): Promise<void> {
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  await Promise.race([exited, delay(graceMs, undefined, { ref: false })]);
  if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
}

async function succeeds(file: string, ...args: readonly string[]): Promise<boolean> {
  return (await capture(spawn(file, args, { stdio: "ignore" }))).code === 0;
}

async function must(file: string, ...args: readonly string[]): Promise<void> {
  const { code, stderr, error } = await capture(spawn(file, args, { stdio: ["ignore", "ignore", "pipe"] }));
  if (code !== 0)
    throw new Error(`${[file, ...args].join(" ")}: ${stderr.trim() || (error?.message ?? code)}`);
}
