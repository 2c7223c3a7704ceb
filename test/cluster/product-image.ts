import { cp, copyFile, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { projectRoot, recipeKey, withScratch } from "./cache.ts";
import { run } from "./command.ts";
import { importImage } from "./control-plane-images.ts";
import { docker } from "./docker.ts";
import { hasImage } from "./node-image.ts";
import { makeBaseRootfs } from "./node-rootfs.ts";

/** The image of the product that the cluster runs. */
export const productImage = "nix-closure:dev";

/** A label of the product's image: what it was built from. */
const keyLabel = "nix-closure.test/key";

/**
 * Builds the product's image from the Containerfile on a base of Debian and this Node.
 *
 * @returns false: the image there is was built from the very same files
 */
export async function buildProductImage(): Promise<boolean> {
  const base = await makeBaseImage();
  const key = await recipeKey(await productFiles(), base);
  const format = `{{index .Config.Labels "${keyLabel}"}}`;
  const built = await docker(["image", "inspect", "--format", format, productImage]).catch(() => "");
  if (built.trim() === key) return false;
  await withScratch(async (context) => {
    await stageProduct(context);
    const file = fileURLToPath(new URL("Containerfile", projectRoot));
    const options = ["--build-arg", `BASE=${base}`, "--label", `${keyLabel}=${key}`, "--file", file];
    await docker(["build", "--quiet", "--tag", productImage, ...options, context]);
  });
  return true;
}

/** What the image follows from, relative to this folder. */
async function productFiles(): Promise<readonly string[]> {
  const directories = await Promise.all(
    ["src", "bin"].map((name) =>
      readdir(new URL(name, projectRoot), { recursive: true, withFileTypes: true }),
    ),
  );
  const sources = directories.flat().filter((entry) => entry.isFile());
  const paths = sources.map((entry) => pathToFileURL(join(entry.parentPath, entry.name)).href).toSorted();
  const others = [
    "Containerfile",
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "tsconfig.build.json",
  ];
  return [...paths, ...others.map((name) => new URL(name, projectRoot).href), "product-image.ts"];
}

/** Types and source maps are half of what the dependencies weigh. */
const notNeeded = [
  "-name",
  "*.d.ts",
  "-o",
  "-name",
  "*.d.cts",
  "-o",
  "-name",
  "*.d.mts",
  "-o",
  "-name",
  "*.map",
];

/** Puts into a directory what the Containerfile copies: package, compiled source and production dependencies. */
async function stageProduct(context: string): Promise<void> {
  const project = fileURLToPath(projectRoot);
  await rm(join(project, "dist"), { recursive: true, force: true });
  await run("npm", ["run", "--silent", "build"], { cwd: project });
  for (const name of ["package.json", "package-lock.json", ".npmrc", "LICENSE", "bin", "dist"])
    await cp(join(project, name), join(context, name), { recursive: true });
  const omit = ["--omit=dev", "--omit=optional", "--ignore-scripts", "--prefer-offline"];
  await run("npm", ["ci", "--no-progress", ...omit], { cwd: context });
  await run("find", [join(context, "node_modules"), "-type", "f", "(", ...notNeeded, ")", "-delete"]);
}

async function makeBaseImage(): Promise<string> {
  const key = await recipeKey(["product-image.ts", "node-rootfs.ts"], process.version);
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
