import { NixClosureError } from "../src/errors.ts";
import { Interrupted } from "./interruption.ts";

/** Says in a line on standard error what failed, and sets the exit code. */
export function reportFailure(error: unknown): void {
  const text =
    error instanceof NixClosureError
      ? error.toLine()
      : error instanceof Error
        ? error.message
        : String(error);
  process.stderr.write(`demo: ${text.replaceAll(/\s*\n\s*/g, " ")}\n`);
  process.exitCode = error instanceof Interrupted ? error.exitCode : 1;
}
