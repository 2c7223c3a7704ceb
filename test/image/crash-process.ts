import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { type FSWatcher, watch } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { onTestFinished } from "vitest";

import { compileCache } from "../compile-cache.ts";
import type { CrashMessage, CrashWork } from "./crash-child.ts";

const program = fileURLToPath(new URL("crash-child.ts", import.meta.url));

/** A directory of the store whose first change is waited for: a record goes, a file is begun. */
export type Watched = "images" | "temporary";

/** How long a process takes, in milliseconds. */
export interface Pace {
  /** From the word to its first image. */
  readonly pulled: number;
  /** From the first change in the directory to the last, or to the image if that comes before. */
  readonly changing: number;
}

class CrashProcess {
  readonly child: ChildProcess;
  readonly said: CrashMessage[] = [];
  readonly exited: Promise<[code: number | null, signal: NodeJS.Signals | null]>;

  private constructor() {
    this.child = fork(program, [], {
      env: { ...process.env, NODE_COMPILE_CACHE: compileCache },
      serialization: "advanced",
    });
    onTestFinished(() => void this.child.kill("SIGKILL"));
    this.child.on("message", (message: CrashMessage) => this.said.push(message));
    this.exited = once(this.child, "exit") as typeof this.exited;
  }

  /** Starts a process; it has loaded its modules when this returns, and waits for the word. */
  static async start(): Promise<CrashProcess> {
    const started = new CrashProcess();
    await Promise.race([once(started.child, "message"), started.exited]);
    return started;
  }

  /** Fails unless it ended as it should, and found nothing wrong. */
  async expectEnd(wanted: 0 | "SIGKILL"): Promise<void> {
    const [code, signal] = await this.exited;
    if ((code ?? signal) !== wanted || this.said.some(({ type }) => type === "wrong"))
      throw new Error(`ended with ${code ?? signal}: ${JSON.stringify(this.said)}`);
  }
}

/** Lets a process do its work once, and tells how long it took. */
export async function measure(work: Omit<CrashWork, "once">, watched: Watched): Promise<Pace> {
  const process = await CrashProcess.start();
  const changes: number[] = [];
  const watcher = watch(join(work.directory, watched), () => changes.push(performance.now()));
  const started = performance.now();
  process.child.send({ ...work, once: true });
  await Promise.race([once(process.child, "message"), process.exited]);
  const pulled = performance.now();
  await process.expectEnd(0);
  watcher.close();
  const [first = pulled] = changes;
  return { pulled: pulled - started, changing: (changes.findLast((at) => at < pulled) ?? first) - first };
}

/** Kills a process so many milliseconds after it got its work, or after its first change of a directory. */
export async function killAfter(
  work: Omit<CrashWork, "once">,
  since: "start" | Watched,
  milliseconds: number,
): Promise<void> {
  const process = await CrashProcess.start();
  const watcher = since === "start" ? undefined : watch(join(work.directory, since));
  process.child.send({ ...work, once: false });
  if (watcher !== undefined) await firstChange(watcher, process);
  await delay(milliseconds);
  process.child.kill("SIGKILL");
  await process.expectEnd("SIGKILL");
}

async function firstChange(watcher: FSWatcher, { exited }: CrashProcess): Promise<void> {
  await Promise.race([once(watcher, "change"), exited]);
  watcher.close();
}

/** A time that is learned: the moments of kills are spread over it, and some are behind its end. */
export class Span {
  #milliseconds: number;

  constructor(milliseconds: number) {
    this.#milliseconds = milliseconds;
  }

  moment(random: () => number): number {
    return random() * this.#milliseconds;
  }

  /** Becomes shorter with each kill that came too late: in the end they are one of five. */
  learn(wasLate: boolean): void {
    this.#milliseconds *= wasLate ? 0.92 : 1.02;
  }
}
