import { lstat, readdir, readlink } from "node:fs/promises";
import { join, resolve } from "node:path";

/** As many as Linux follows (path_resolution(7)). */
const maxLinks = 40;

/**
 * The first executable file in a directory of an unpacked root.
 *
 * @param directory as seen from inside the root.
 * @returns its path as seen from inside the root; undefined if there is none.
 */
export async function firstProgram(root: string, directory: string): Promise<string | undefined> {
  const names = await readdir(join(root, directory)).catch(() => []);
  // Not coreutils' "[", which says little.
  for (const name of names.filter((found) => /^\w/.test(found)).toSorted()) {
    const path = join(directory, name);
    if (await isProgram(root, path)) return path;
  }
  return undefined;
}

/** Follows a symbolic link inside the root, where absolute ones begin. */
async function isProgram(root: string, path: string): Promise<boolean> {
  let at = path;
  for (let links = 0; links <= maxLinks; links++) {
    const status = await lstat(join(root, at)).catch(() => undefined);
    if (status === undefined) return false;
    if (!status.isSymbolicLink()) return status.isFile() && (status.mode & 0o111) !== 0;
    at = resolve(at, "..", await readlink(join(root, at)));
  }
  return false;
}
