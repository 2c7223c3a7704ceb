import * as commands from "../../programs/command.ts";
import { cacheDirectory } from "./cache.ts";

/** A variable in the environment of everything that is started here, by which `cluster:down` finds what a crash left. */
export const processMark = "NIX_CLOSURE_CLUSTER";

/** The environment of a child process. */
export function childEnvironment(env: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return { ...process.env, [processMark]: cacheDirectory, ...env };
}

/**
 * Runs a command with the mark and returns what it wrote to standard output.
 *
 * @throws Error with the end of its output if it fails
 */
export async function run(
  file: string,
  args: readonly string[],
  options?: commands.CommandOptions,
): Promise<string> {
  return commands.run(file, args, marked(options));
}

/** Whether a command, run with the mark, succeeds. */
export async function succeeds(
  file: string,
  args: readonly string[],
  options?: commands.CommandOptions,
): Promise<boolean> {
  return commands.succeeds(file, args, marked(options));
}

function marked(options: commands.CommandOptions = {}): commands.CommandOptions {
  return { ...options, env: { [processMark]: cacheDirectory, ...options.env } };
}

/**
 * Runs a script of bash with mounts and processes of its own: all of them are gone when it ends, however it ends.
 *
 * @throws Error with the end of its output if it fails
 */
export async function runApart(script: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
  return run("unshare", [...apart, "bash", "-euo", "pipefail", "-c", script], { env });
}

/** Arguments of `unshare`: a mount and a process namespace that end with the process that `unshare` starts. */
export const apart = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"] as const;
