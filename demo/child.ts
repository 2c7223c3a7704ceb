import type { ChildProcess } from "node:child_process";

/** How a child process ended. */
export interface Ended {
  /** null: it was killed, or did not start. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Why it did not start. */
  readonly error: NodeJS.ErrnoException | undefined;
}

/** Waits until a child process and everybody who holds its pipes have ended; collects what it wrote to pipes. */
export function capture(child: ChildProcess): Promise<Ended> {
  const text = { stdout: "", stderr: "" };
  let error: NodeJS.ErrnoException | undefined;
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream]?.setEncoding("utf8").on("data", (chunk: string) => (text[stream] += chunk));
  }
  child.on("error", (reason) => (error = reason));
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, ...text, error })));
}
