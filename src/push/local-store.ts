import { spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { nixFailed, scratchFailed } from "../errors.ts";
import { makeKeyPair } from "../nix/key-pair.ts";
import type { StorePath } from "../nix/store-path.ts";

/** The name of the key that vouches for what was read from a local store. */
export const scratchKeyName = "nix-closure-scratch-1";

/** A binary cache with paths of the local store, which are trusted because the store is the user's own. */
export interface CopiedStore {
  readonly url: string;
  /** Made for this cache alone. */
  readonly publicKey: string;
}

export interface CopyOptions {
  /** Where the cache is made. */
  readonly directory: string;
  /** PATH is where `nix` is found; NIX_REMOTE and the like say which store is meant. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

/** Characters of its standard error that end a message; Nix writes the reason last. */
const maxReason = 2000;

/**
 * Copies the closure of some paths out of the local store into a binary cache, with the machine's Nix. Each path is signed
 * on the way, so that nothing else has to be told to trust them.
 *
 * @throws nixFailed, scratchFailed, the signal's reason
 */
export async function copyFromStore(
  roots: readonly StorePath[],
  { directory, env, signal }: CopyOptions,
): Promise<CopiedStore> {
  // Nix takes what stands before "?" for the path, some versions with percent signs decoded and others without.
  if (!/^[\w./+-]+$/.test(directory)) {
    throw scratchFailed(directory, "Nix cannot be told of a name with such characters");
  }
  const cache = join(directory, "store");
  const keyFile = join(directory, "store.key");
  const { secretKey, publicKey } = makeKeyPair(scratchKeyName);
  try {
    await mkdir(cache);
    await writeFile(keyFile, secretKey, { mode: 0o600 });
  } catch (error) {
    throw scratchFailed(directory, error instanceof Error ? error.message : String(error)).causedBy(error);
  }
  // Listings tell what a path is; without them each NAR would be opened for it.
  const to = `file://${cache}?compression=none&write-nar-listing=true&secret-key=${keyFile}`;
  const features = ["--extra-experimental-features", "nix-command"];
  await runNix([...features, "copy", "--no-check-sigs", "--to", to, ...roots], env, signal);
  return { url: pathToFileURL(cache).href, publicKey };
}

async function runNix(args: readonly string[], env: CopyOptions["env"], signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const child = spawn("nix", args, { env, signal, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-maxReason);
  });
  child.once("error", (error: NodeJS.ErrnoException) => {
    if (signal.aborted) return;
    reject(
      nixFailed(error.code === "ENOENT" ? "there is no nix on the PATH" : error.message).causedBy(error),
    );
  });
  child.once("close", (code, killedBy) => {
    if (code === 0) resolve();
    else if (signal.aborted) reject(signal.reason as Error);
    else reject(nixFailed(reasonIn(said) || `it ended with ${killedBy ?? code}`));
  });
  await promise;
}

/** What Nix says of an error, on one line. */
function reasonIn(said: string): string {
  const start = said.lastIndexOf("error:");
  // eslint-disable-next-line no-control-regex -- Nix colours its messages.
  const plain = said.slice(Math.max(start, 0)).replace(/\u001b\[[0-9;]*m/g, "");
  return plain.replace(/\s+/g, " ").trim();
}
