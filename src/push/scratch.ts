import { randomUUID } from "node:crypto";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";

import { NixClosureError, scratchFailed } from "../errors.ts";
import { type DirectoryLock, lockDirectory } from "../image/directory-lock.ts";

/** Of a directory that one push has for itself. */
const runPattern = /^run-[0-9a-f-]{36}$/;
/** Somebody may take ours for a left-over one before it is locked. */
const maxAttempts = 5;

/** A directory for the temporary files of one push. */
export interface Scratch extends AsyncDisposable {
  readonly directory: string;
}

/**
 * Makes a directory of its own below `parent` for a push, and removes those that pushes have left there which were killed.
 *
 * @throws scratchFailed
 */
export async function openScratch(parent: string): Promise<Scratch> {
  try {
    await mkdir(parent, { recursive: true, mode: 0o700 });
    await removeLeftOvers(parent);
    for (let attempt = 1; ; attempt++) {
      const directory = join(parent, `run-${randomUUID()}`);
      await mkdir(directory, { mode: 0o700 });
      const lock = await tryLock(directory);
      if (lock !== undefined)
        return { directory, [Symbol.asyncDispose]: async () => remove(directory, lock) };
      if (attempt === maxAttempts) throw new Error("others remove what is made there");
    }
  } catch (error) {
    throw toScratchError(parent, error);
  }
}

/** A failure of the disk as one of the scratch directory; anything else as it is. */
export function toScratchError(directory: string, error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const isOfDisk = error instanceof NixClosureError ? error.code === "FILE_UNWRITABLE" : "syscall" in error;
  if (!isOfDisk) return error;
  const { cause = error } = error;
  return scratchFailed(directory, cause instanceof Error ? cause.message : String(cause)).causedBy(error);
}

async function removeLeftOvers(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!runPattern.test(name)) continue;
    const directory = join(parent, name);
    const lock = await tryLock(directory);
    if (lock !== undefined) await remove(directory, lock);
  }
}

/** @returns undefined if another process has it, or it is gone. */
async function tryLock(directory: string): Promise<DirectoryLock | undefined> {
  try {
    return await lockDirectory(directory);
  } catch {
    return undefined;
  }
}

async function remove(directory: string, lock: DirectoryLock): Promise<void> {
  // The lock's socket lies in it.
  await rm(directory, { recursive: true, force: true }).catch(() => undefined);
  await lock.release();
}
