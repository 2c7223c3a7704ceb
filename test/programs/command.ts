import { spawn } from "node:child_process";
import { capture } from "../../demo/child.ts";

/** How a command is run. */
export interface CommandOptions {
  readonly cwd?: string;
  /** On top of this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Standard input. */
  readonly input?: string;
}

/**
 * Runs a command and returns what it wrote to standard output.
 *
 * @throws Error with the end of its output if it fails
 */
export async function run(
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const child = spawn(file, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  });
  child.stdin?.on("error", () => {}).end(options.input);
  const { code, stdout, stderr, error } = await capture(child);
  if (code === 0) return stdout;
  const shown = [file, ...args].join(" ");
  const end = `${stdout}\n${stderr}`.trim().split("\n").slice(-25).join("\n");
  throw new Error(
    `${shown.length > 300 ? `${shown.slice(0, 300)}…` : shown}: ${error?.message ?? `exit code ${code}`}\n${end}`,
  );
}

/** Whether a command succeeds. */
export async function succeeds(
  file: string,
  args: readonly string[],
  options?: CommandOptions,
): Promise<boolean> {
  return run(file, args, options).then(
    () => true,
    () => false,
  );
}
