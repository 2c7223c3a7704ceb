import { open, rename, rm, unlink } from "node:fs/promises";

import { hasCode } from "./disk-error.ts";

/** What unlink says of a directory: Linux the first, others the second (POSIX). */
const directoryCodes = ["EISDIR", "EPERM"] as const;

/** Removes a directory's entry if it is there, whatever it is; what a link leads to stays. */
export async function removeEntry(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return;
    if (!directoryCodes.some((code) => hasCode(error, code))) throw error;
    await rm(path, { recursive: true, force: true });
  }
}

/** Puts a file in the place of whatever is there, and waits until the disk has the name too. */
export async function replaceEntry(from: string, to: string, directory: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (!hasCode(error, "EISDIR")) throw error;
    await rm(to, { recursive: true, force: true });
    await rename(from, to);
  }
  // The name is on the disk only when the directory is.
  await using handle = await open(directory);
  await handle.sync();
}
