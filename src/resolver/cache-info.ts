import { cacheInvalidAnswer, quote } from "../errors.ts";
import { storeDirectory } from "../nix/store-path.ts";
import type { Patience } from "./cache.ts";

/**
 * Checks a `nix-cache-info`: lines `<key>: <value>`, others are skipped (Nix, BinaryCacheStore::init). Only StoreDir
 * matters here: the order of caches is the configuration's, not that of Priority.
 *
 * @param cache its name, for messages.
 * @throws cacheInvalidAnswer if the cache holds paths of another store directory: those can never be mounted.
 */
export function checkCacheInfo(cache: string, bytes: Uint8Array): void {
  for (const line of Buffer.from(bytes).toString("utf8").split("\n")) {
    const colon = line.indexOf(":");
    const value = line.slice(colon + 1).trim();
    if (colon < 0 || line.slice(0, colon).trim() !== "StoreDir" || value === storeDirectory) continue;
    throw cacheInvalidAnswer(
      cache,
      "nix-cache-info",
      `its StoreDir is ${quote(value)}, only paths of ${storeDirectory} can be mounted; take it out of the source`,
    );
  }
}

/** A check that is made before the first use, once if it succeeds. After a failure the next use tries again. */
export class OnceChecked {
  readonly #check: (patience: Patience) => Promise<void>;
  #running: Promise<void> | undefined;

  constructor(check: (patience: Patience) => Promise<void>) {
    this.#check = check;
  }

  /** @param patience for the check, if it is not under way already. */
  async pass(patience: Patience): Promise<void> {
    this.#running ??= this.#check(patience).catch((error: unknown) => {
      this.#running = undefined;
      throw error;
    });
    await this.#running;
  }
}
