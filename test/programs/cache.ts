import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

/** Where everything lies that is made once, outside of the clone. */
export const cacheRoot = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "nix-closure");

/**
 * A directory that is made once: one that was left unfinished is made anew.
 *
 * @param directory absolute; its name changes with what it is made from
 * @param make fills an empty directory
 */
export async function cachedDirectory(
  directory: string,
  make: (directory: string) => Promise<void>,
): Promise<string> {
  if (existsSync(directory)) return directory;
  const partial = `${directory}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  await make(partial);
  await rename(partial, directory);
  return directory;
}
