import type { ApplicationContext } from "@stricli/core";

/** What a command sees of the process; tests pass one of their own. */
export interface CliContext extends ApplicationContext {
  /** Standard input, read by `inject -f -`. */
  readonly stdin: AsyncIterable<Uint8Array | string>;
  /** Whether standard error is a terminal: only then progress is shown. */
  readonly progressTo: ((text: string) => void) | undefined;
  /** Resolves when the process is asked to end (SIGINT, SIGTERM). */
  readonly ended: () => Promise<"SIGINT" | "SIGTERM">;
}

/** Writes text to a command's standard output. */
export function print(context: CliContext, text: string): void {
  context.process.stdout.write(text);
}

/** A number of things in words, for instance `1 path` and `2 paths`. */
export function count(things: number, noun: string): string {
  return `${things} ${noun}${things === 1 ? "" : "s"}`;
}

/** Writes a line for a person to standard error. */
export function note(context: CliContext, line: string): void {
  context.process.stderr.write(`${line}\n`);
}
