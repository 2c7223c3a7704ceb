import { tooManyTogether } from "../errors.ts";
import { type StoreHash, storeHash, type StorePath } from "../nix/store-path.ts";

/** A tag has 128 characters, a hash part 32, and there is one between two of them. */
export const maxTagRoots = 3;

/**
 * The tag that the closure of some roots is found under: their hash parts, ascending, each once.
 *
 * @throws tooManyTogether
 */
export function closureTag(roots: readonly StorePath[]): string {
  return closureTagOfHashes(roots.map(storeHash));
}

/**
 * The same for roots of which only the hash parts are known.
 *
 * @throws tooManyTogether
 */
export function closureTagOfHashes(hashes: readonly StoreHash[]): string {
  const sorted = [...new Set(hashes)].toSorted();
  if (sorted.length > maxTagRoots) throw tooManyTogether(sorted.length, maxTagRoots);
  return sorted.join("_");
}
