import { existsSync } from "node:fs";
import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runQuietly } from "./run.ts";

/** The clone. */
export const projectDirectory = fileURLToPath(new URL("../", import.meta.url));

/** Types and source maps are half of what the dependencies weigh. */
const notNeeded = ["*.d.ts", "*.d.cts", "*.d.mts", "*.map"]
  .flatMap((pattern) => ["-o", "-name", pattern])
  .slice(1);

/**
 * Puts into a directory what the Containerfile copies: package, compiled source and the production dependencies of the
 * lock file.
 *
 * @param context an empty directory
 * @throws Error in words if a step fails
 */
export async function stageImage(context: string): Promise<void> {
  const compiler = join(projectDirectory, "node_modules/.bin/tsc");
  if (!existsSync(compiler)) throw new Error("the project's packages are not installed; run `npm ci` first");
  await mkdir(context, { recursive: true });
  for (const name of ["package.json", "package-lock.json", ".npmrc", "LICENSE", "bin"])
    await cp(join(projectDirectory, name), join(context, name), { recursive: true });
  await runQuietly(compiler, ["-p", "tsconfig.build.json", "--outDir", join(context, "dist")], {
    cwd: projectDirectory,
  });
  const omit = ["--omit=dev", "--omit=optional", "--ignore-scripts", "--prefer-offline"];
  await runQuietly("npm", ["ci", "--no-progress", ...omit], { cwd: context });
  const unneeded = [join(context, "node_modules"), "-type", "f", "(", ...notNeeded, ")", "-delete"];
  await runQuietly("find", unneeded);
}
