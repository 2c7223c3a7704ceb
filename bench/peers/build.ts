import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cachedDirectory, cacheRoot } from "../../test/programs/cache.ts";
import { run } from "../../test/programs/command.ts";

const sourceOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Where {@link buildPeer} keeps a program: the directory changes with its sources and with Go. */
export async function peerDirectory(name: string): Promise<string> {
  const hash = createHash("sha256").update(await run("go", ["env", "GOVERSION"]));
  for (const file of (await readdir(sourceOf(name))).toSorted()) {
    hash.update(`${file}\n`).update(await readFile(join(sourceOf(name), file)));
  }
  return join(cacheRoot, "bench", `${name}-${hash.digest("hex").slice(0, 12)}`);
}

/**
 * Builds the Go program of a folder beside this file, once for each form of its sources.
 *
 * @returns the program's file
 */
export async function buildPeer(name: string): Promise<string> {
  const directory = await cachedDirectory(await peerDirectory(name), async (partial) => {
    const flags = ["-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", "-s -w"];
    await run("nice", ["go", "build", ...flags, "-o", join(partial, name), "."], {
      cwd: sourceOf(name),
      env: { CGO_ENABLED: "0", GOWORK: "off" },
    });
  });
  return join(directory, name);
}
