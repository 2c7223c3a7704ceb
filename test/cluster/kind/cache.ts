import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { cacheRoot } from "../../programs/cache.ts";

/** Where everything of the cluster lies that is made once, outside of the clone. */
export const cacheDirectory = join(cacheRoot, "cluster");

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
