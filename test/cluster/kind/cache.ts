import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

/** Where everything lies that is made once, outside of the clone. */
export const cacheDirectory = join(
  process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"),
  "nix-closure",
  "cluster",
);

/** Directories that are needed for a moment; `cluster:down` removes what a crash left of them. */
export const scratchDirectory = join(cacheDirectory, "scratch");

/** Runs something with an empty directory, which is removed afterwards. */
export async function withScratch<T>(use: (directory: string) => Promise<T>): Promise<T> {
  await mkdir(scratchDirectory, { recursive: true });
  const directory = await mkdtemp(join(scratchDirectory, "part-"));
  try {
    return await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The clone. */
export const projectRoot = new URL("../../../", import.meta.url);

/** 12 hex digits that change with what a thing is made from: values, and files of this folder that hold a recipe. */
export async function recipeKey(files: readonly string[], ...values: readonly unknown[]): Promise<string> {
  const hash = createHash("sha256").update(JSON.stringify(values));
  for (const file of files) hash.update(await readFile(new URL(file, import.meta.url)));
  return hash.digest("hex").slice(0, 12);
}

/**
 * A directory of the cache that is made once: one that was left unfinished is made anew.
 *
 * @param name path below the cache
 * @param make fills an empty directory
 */
export async function cachedDirectory(
  name: string,
  make: (directory: string) => Promise<void>,
): Promise<string> {
  const directory = join(cacheDirectory, name);
  if (existsSync(directory)) return directory;
  const partial = `${directory}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  await make(partial);
  await rename(partial, directory);
  return directory;
}
