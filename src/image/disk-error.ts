import { diskFailed, NixClosureError } from "../errors.ts";

/** What a file operation failed with, as an error of the blob store; errors of ours stay as they are. */
export function diskError(what: string, error: unknown): NixClosureError {
  if (error instanceof NixClosureError) return error;
  return diskFailed(what, error instanceof Error ? error.message : String(error)).causedBy(error);
}

/** Whether a file operation failed for this reason, such as `ENOENT`. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
