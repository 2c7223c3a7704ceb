import { spawn } from "node:child_process";
import { capture, type Ended } from "../demo/child.ts";

/** How a program is run. */
export interface RunOptions {
  readonly cwd?: string;
  /** On top of this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Its output goes where ours goes. */
  readonly shown?: boolean;
}

/** Runs a program to its end, whatever that is. */
export function runToEnd(file: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const output = options.shown === true ? "inherit" : "pipe";
  return capture(
    spawn(file, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ["ignore", output, output],
    }),
  );
}

/**
 * Runs a program.
 *
 * @throws Error with the end of what it wrote if it fails
 */
export async function runQuietly(
  file: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, stdout, stderr, error } = await runToEnd(file, args, options);
  if (code === 0) return stdout;
  const end = `${stdout}\n${stderr}`.trim().split("\n").slice(-20).join("\n");
  throw new Error(`${[file, ...args].join(" ")}: ${error?.message ?? `exit code ${code}`}\n${end}`);
}
