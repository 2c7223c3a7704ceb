import { constants } from "node:fs";
import { open, realpath, type FileHandle } from "node:fs/promises";
import { sep } from "node:path";

/** What stands in the way of opening a file below a directory. */
export type BelowFailure =
  | { readonly kind: "missing" }
  /** The directory itself cannot be had, or the file cannot be read. */
  | { readonly kind: "unreadable"; readonly why: string; readonly cause: unknown }
  /** Symbolic links lead out of the directory. */
  | { readonly kind: "outside"; readonly target: string };

/**
 * Opens a regular file for reading, if it is below the directory after all symbolic links are followed.
 *
 * It is opened under its resolved name, without following a link that appears there meanwhile, and without waiting
 * for the other end of a pipe.
 */
export async function openBelow(directory: string, file: string): Promise<FileHandle | BelowFailure> {
  let root: string;
  try {
    root = await realpath(directory);
  } catch (cause) {
    return { kind: "unreadable", why: `its directory: ${messageOf(cause)}`, cause };
  }
  try {
    const target = await realpath(file);
    if (!isBelow(root, target)) return { kind: "outside", target };
    const handle = await open(target, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
    return { kind: "unreadable", why: "it is not a regular file", cause: undefined };
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") return { kind: "missing" };
    return { kind: "unreadable", why: messageOf(cause), cause };
  }
}

/** Whether an absolute path without `..` is below another. */
export function isBelow(directory: string, path: string): boolean {
  return path.startsWith(directory.endsWith(sep) ? directory : directory + sep);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
