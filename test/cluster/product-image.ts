import { cp, copyFile, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheDirectory, projectRoot, recipeKey } from "./cache.ts";
import { run } from "./command.ts";
import { importImage } from "./control-plane-images.ts";
import { docker } from "./docker.ts";
import { hasImage } from "./node-image.ts";
import { makeBaseRootfs } from "./node-rootfs.ts";

/** The image of the product that the cluster runs. */
export const productImage = "nix-closure:dev";

/**
 * Builds the product's image from the Containerfile on a base of Debian and this Node.
 *
 * @returns how the base is called
 */
export async function buildProductImage(): Promise<void> {
  const base = await makeBaseImage();
  const context = await mkdtemp(join(cacheDirectory, "context-"));
  try {
    await stageProduct(context);
    const file = fileURLToPath(new URL("Containerfile", projectRoot));
    await docker([
      "build",
      "--quiet",
      "--build-arg",
      `BASE=${base}`,
      "--tag",
      productImage,
      "--file",
      file,
      context,
    ]);
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

/** Puts into a directory what the Containerfile copies: package, compiled source and production dependencies. */
async function stageProduct(context: string): Promise<void> {
  const project = fileURLToPath(projectRoot);
  await rm(join(project, "dist"), { recursive: true, force: true });
  await run("npm", ["run", "--silent", "build"], { cwd: project });
  for (const name of ["package.json", "package-lock.json", ".npmrc", "LICENSE", "bin", "dist"])
    await cp(join(project, name), join(context, name), { recursive: true });
  const omit = ["--omit=dev", "--omit=optional", "--ignore-scripts", "--prefer-offline"];
  await run("npm", ["ci", "--no-progress", ...omit], { cwd: context });
}

async function makeBaseImage(): Promise<string> {
  const key = await recipeKey(["product-image.ts", "node-rootfs.ts"], process.version);
  const name = `nix-closure-base:${key}`;
  if (await hasImage(name)) return name;
  const rootfs = await makeBaseRootfs();
  const scratch = await mkdtemp(join(cacheDirectory, "base-"));
  try {
    const root = join(scratch, "root");
    await run("cp", ["-a", "--reflink=auto", rootfs, root]);
    await copyFile(process.execPath, join(root, "usr/local/bin/node"));
    await importImage(root, name, ['CMD ["node"]']);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return name;
}
