import { join } from "node:path";
import type { Closure } from "../src/nix/closure.ts";
import { narHashOf } from "./nar-hash.ts";
import type { Stage } from "./stage.ts";

/**
 * Checks that what lies in an unpacked root is what the cache's keys have signed, file for file.
 * @throws Error naming the store path that differs
 */
export async function checkTree({ output, signal }: Stage, root: string, { paths }: Closure): Promise<void> {
  for (const [done, { storePath, narHash }] of paths.entries()) {
    signal.throwIfAborted();
    output.progress("store paths", done, paths.length);
    const found = await narHashOf(join(root, storePath));
    if (found !== narHash)
      throw new Error(`${storePath} was unpacked to ${found}; the cache has signed ${narHash}`);
  }
  output.line(`${paths.length} of ${paths.length} store paths have the NAR hash that the cache has signed`);
}
