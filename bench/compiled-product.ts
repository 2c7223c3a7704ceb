import { copyFile, mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "../test/programs/command.ts";

const project = fileURLToPath(new URL("..", import.meta.url));
/** Beside the compiled code, as in the package. */
const files = ["package.json", "bin/nix-closure.js"];

/**
 * The product as it is installed: compiled, with its dependencies. From source a process has the compiler in its memory.
 *
 * @param directory where it is put; is made.
 * @returns its program
 */
export async function compileProduct(directory: string): Promise<string> {
  await mkdir(join(directory, "bin"), { recursive: true });
  for (const file of files) await copyFile(join(project, file), join(directory, file));
  await symlink(join(project, "node_modules"), join(directory, "node_modules"));
  const compiler = join(project, "node_modules/typescript/bin/tsc");
  await run(process.execPath, [
    compiler,
    "-p",
    join(project, "tsconfig.build.json"),
    "--outDir",
    join(directory, "dist"),
  ]);
  return join(directory, "bin/nix-closure.js");
}
