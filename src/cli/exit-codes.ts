import { type NixClosureError, toNixClosureError } from "../errors.ts";

/** What is wrong with the arguments of a command, in the words of the part that was to take them. */
export class WrongArguments extends Error {
  override readonly cause: NixClosureError;

  constructor(cause: NixClosureError) {
    super(cause.message);
    this.cause = cause;
  }
}

/** What the process says when it ends (docs/cli.md). */
export const exitCodes = {
  success: 0,
  /** A bug of ours, or the machine failed us. */
  internal: 1,
  /** Wrong arguments, configuration or input file: read the message and mend it. */
  usage: 2,
  /** The input was understood and refused: unknown path, bad signature, wrong annotation, over a limit. */
  refused: 3,
  /** A cache, a registry or the disk did not answer: the same call can succeed later. */
  temporary: 4,
} as const;

const usageCodes = new Set([
  "CONFIG_INVALID",
  "CACHE_URL_INVALID",
  "FILE_UNREADABLE",
  "MANIFEST_INVALID",
  "CERTIFICATE_INVALID",
  "SECRET_KEY_INVALID",
]);

/** The exit code of an error that ends a command. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof WrongArguments) return exitCodes.usage;
  const { code, status, temporary } = toNixClosureError(error);
  if (usageCodes.has(code)) return exitCodes.usage;
  if (temporary) return exitCodes.temporary;
  return status === 500 ? exitCodes.internal : exitCodes.refused;
}
