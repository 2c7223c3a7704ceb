import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { buildImage } from "../../../container/build.ts";
import { projectRoot, recipeKey } from "./cache.ts";
import { run } from "./command.ts";
import type { Engine } from "./engine.ts";

/** The image of the product that the cluster runs. */
export const productImage = "nix-closure:dev";

/** A label of the product's image: what it was built from. */
const keyLabel = "nix-closure.test/key";

/**
 * Builds the product's image as `npm run image` does, unless the image there is was built from the very same files.
 *
 * @param base absent: the Containerfile's own
 * @returns whether it was built
 */
export async function buildProductImage(engine: Engine, base: string | undefined): Promise<boolean> {
  const key = await recipeKey(await productFiles(), base);
  const format = `{{index .Config.Labels "${keyLabel}"}}`;
  const built = await run("docker", ["image", "inspect", "--format", format, productImage], {
    env: engine.environment,
  }).catch(() => "");
  if (built.trim() === key) return false;
  await buildImage({
    tag: productImage,
    builder: "docker",
    labels: { [keyLabel]: key },
    env: engine.environment,
    ...(base === undefined ? {} : { base }),
  });
  return true;
}

/** What the image follows from, relative to this folder. */
async function productFiles(): Promise<readonly string[]> {
  const directories = await Promise.all(
    ["src", "bin", "container"].map((name) =>
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
  return [...paths, ...others.map((name) => new URL(name, projectRoot).href)];
}
