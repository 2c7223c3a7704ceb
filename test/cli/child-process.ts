import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

/** The project's directory. */
export const project = fileURLToPath(new URL("../..", import.meta.url));
export const launcher = fileURLToPath(new URL("../../bin/nix-closure.js", import.meta.url));

/** How a child process ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Those that are bound; `webhook` only for its role. */
type Ports = Readonly<Record<"admin" | "registry" | "webhook", number>>;

/** A child process in a group of its own, all of which is gone after the test. */
export class Child {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  #stdout = "";
  #stderr = "";

  constructor(file: string, args: readonly string[], options: { cwd?: string; stdin?: string } = {}) {
    const { cwd = project, stdin = "" } = options;
    this.process = spawn(file, args, { cwd, detached: true, stdio: "pipe" });
    this.process.stdout?.setEncoding("utf8").on("data", (text: string) => (this.#stdout += text));
    this.process.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#stderr += text));
    this.process.stdin?.end(stdin);
    this.ended = new Promise((resolve, reject) => {
      this.process.once("error", reject);
      this.process.once("close", (code, signal) =>
        resolve({ code, signal, stdout: this.#stdout, stderr: this.#stderr }),
      );
    });
    onTestFinished(async () => {
      this.killGroup("SIGKILL");
      await this.ended.catch(() => undefined);
    });
  }

  /** What it has written so far to standard output. */
  get stdout(): string {
    return this.#stdout;
  }

  /** Sends a signal to it alone. */
  kill(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  /** Sends a signal to it and its children, as a terminal does. */
  killGroup(signal: NodeJS.Signals): void {
    try {
      if (this.process.pid !== undefined) process.kill(-this.process.pid, signal);
    } catch {
      // All have ended.
    }
  }

  /** Resolves with the ports when `serve` says that it serves; rejects when it ends before. */
  async serving(): Promise<Ports> {
    const ports = new Promise<Ports>((resolve) => {
      const look = (): void => {
        const line = this.#stdout.split("\n").find((text) => text.includes('"msg":"serving"'));
        if (line !== undefined) resolve((JSON.parse(line) as { ports: Ports }).ports);
      };
      look();
      this.process.stdout?.on("data", look);
    });
    const failed = this.ended.then(({ stdout, stderr }) => {
      throw new Error(`it ended: ${stdout}${stderr}`);
    });
    return Promise.race([ports, failed]);
  }
}

/** Runs a program to its end. */
export async function runChild(
  file: string,
  args: readonly string[],
  options: { cwd?: string; stdin?: string } = {},
): Promise<Ended> {
  return new Child(file, args, options).ended;
}
