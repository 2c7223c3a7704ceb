import { readlink } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { localPathInvalid } from "../errors.ts";
import { parseStorePath, storeDirectory, type StorePath } from "../nix/store-path.ts";

/** Links from `result` to a profile to a generation to a store path, and some more. */
const maxLinks = 16;

/** Whether a word of a command line names a file, and not a store path or a source. */
export function isFileName(word: string): boolean {
  return /^\.{0,2}\//.test(word) && word !== storeDirectory && !word.startsWith(`${storeDirectory}/`);
}

/**
 * The store path that a link such as `./result` leads to. The path itself need not be there: the store may be another one
 * than that of this file system.
 *
 * @throws localPathInvalid
 */
export async function followToStore(file: string): Promise<StorePath> {
  let at = resolve(file);
  for (let links = 0; links < maxLinks; links++) {
    let target: string;
    try {
      target = await readlink(at);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      const why =
        code === "ENOENT" ? `there is no ${at}` : `${at} is no symbolic link into ${storeDirectory}`;
      throw localPathInvalid(file, why).causedBy(error);
    }
    at = resolve(dirname(at), target);
    if (at.startsWith(`${storeDirectory}/`)) return parseStorePath(at);
  }
  throw localPathInvalid(file, `more than ${maxLinks} links follow each other`);
}
