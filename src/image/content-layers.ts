import type { NarInfo } from "../nix/narinfo.ts";
import { nix32Alphabet } from "../nix/nix32.ts";
import { storeHash, type StorePath } from "../nix/store-path.ts";

/** More would be of no use: a registry has two threads to make them, and containerd pulls three at once. */
const maxLayers = 8;
/** Bytes (NarSize) that a layer should have at most: so many are made in a third of a second. */
const wantedLayerBytes = 32 * 1024 * 1024;

/**
 * Divides the content of a store image into layers, which are made and pulled beside each other.
 *
 * Which layer a path is in follows from its hash and the number of layers alone, and this from the size of all: so two
 * store images that differ in one path have all layers but one in common, unless that path makes them more.
 *
 * @param paths in the order of a layer, which each of the layers keeps.
 * @returns one layer at least, and none that is empty beside others.
 */
export function contentLayers<Path extends { readonly info: Pick<NarInfo, "storePath" | "narSize"> }>(
  paths: readonly Path[],
): readonly (readonly Path[])[] {
  const bytes = paths.reduce((total, { info }) => total + info.narSize, 0);
  let count = 1;
  while (count < maxLayers && bytes / count > wantedLayerBytes) count *= 2;
  const layers = Array.from({ length: count }, (): Path[] => []);
  for (const path of paths) layers[layerOf(path.info.storePath, count)]?.push(path);
  const filled = layers.filter((layer) => layer.length > 0);
  return filled.length === 0 ? [[]] : filled;
}

/** By the leading bits of the hash, which its first digit has; they are as good as random. */
function layerOf(path: StorePath, count: number): number {
  const digit = nix32Alphabet.indexOf(storeHash(path).charAt(0));
  return Math.floor((digit * count) / nix32Alphabet.length);
}
