import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** How the names of the demo's scratch directories begin. */
export const scratchPrefix = "nix-closure-demo-";

/** Makes a directory for temporary files of this run alone. */
export function makeScratch(): Promise<string> {
  return mkdtemp(join(tmpdir(), scratchPrefix));
}

/** Removes a directory with all that is in it, also what nobody may write to: store paths are read-only. */
export async function removeScratch(directory: string): Promise<void> {
  await allowWriting(Buffer.from(directory));
  await rm(directory, { recursive: true, force: true });
}

async function allowWriting(directory: Buffer): Promise<void> {
  await chmod(directory, 0o700);
  for (const entry of await readdir(directory, { withFileTypes: true, encoding: "buffer" })) {
    if (entry.isDirectory()) await allowWriting(Buffer.concat([directory, Buffer.from("/"), entry.name]));
  }
}
