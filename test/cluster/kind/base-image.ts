import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { recipeKey, withScratch } from "./cache.ts";
import { run } from "./command.ts";
import { importImage } from "./control-plane-images.ts";
import { hasImage } from "./node-image.ts";
import { makeBaseRootfs } from "./node-rootfs.ts";

/** A base for the product's image where none can be pulled: Debian with this Node. Returns its name. */
export async function makeBaseImage(): Promise<string> {
  const key = await recipeKey(["base-image.ts", "node-rootfs.ts"], process.version);
  const name = `nix-closure-base:${key}`;
  if (await hasImage(name)) return name;
  const rootfs = await makeBaseRootfs();
  await withScratch(async (scratch) => {
    const root = join(scratch, "root");
    await run("cp", ["-a", "--reflink=auto", rootfs, root]);
    await copyFile(process.execPath, join(root, "usr/local/bin/node"));
    await importImage(root, name, ['CMD ["node"]']);
  });
  return name;
}
