/** Two closures whose content is more than one layer: many megabytes, which compress to nothing. */
import { storeHash, type StorePath } from "../../src/nix/store-path.ts";
import { zstd } from "../compression/compress.ts";
import { directory } from "../nix/nar-samples.ts";
import { writeNar } from "../nix/nar-writer.ts";
import { cacheFiles, type FakePath, pathOf } from "../resolver/fake-store.ts";

const mebibyte = 2 ** 20;
/** Of a path. Three in each of four layers: 72 MiB are more than two layers may have. */
export const size = 6 * mebibyte;

/** The first paths of a name that are in a layer of four, which the first digit of the hash says. */
function pathsIn(layer: number, name: string, count: number): readonly StorePath[] {
  const digits = ["01234567", "89abcdfg", "hijklmnp", "qrsvwxyz"][layer]!;
  const all = Array.from({ length: 100 }, (_, index) => pathOf(`${name}-${index}`));
  return all.filter((path) => digits.includes(storeHash(path)[0]!)).slice(0, count);
}

export const narOf = (path: StorePath, bytes = size): Buffer =>
  writeNar(directory({ content: { type: "regular", contents: Buffer.alloc(bytes, path) } }));

export const common = [0, 1, 2, 3].map((layer) => pathsIn(layer, "common", layer === 2 ? 2 : 3));
const [old, now] = pathsIn(2, "version", 2) as [StorePath, StorePath];
const [first, second] = [pathOf("first"), pathOf("second")];
/** Roots, and what they need: all but one path is common. */
export const closures = [
  [first, [...common.flat(), old]],
  [second, [...common.flat(), now]],
] as const;

const compressed = { compression: "zstd" };
/** Of a binary cache that has both. */
export const files = cacheFiles([
  ...closures.map(([root, references]): [StorePath, FakePath] => [
    root,
    { nar: narOf(root, 10), references: references.toSorted() },
  ]),
  ...[...common.flat(), old, now].map((path): [StorePath, FakePath] => [
    path,
    { nar: narOf(path), fields: compressed },
  ]),
]);
export const narFile = (path: StorePath): string => `nar/${storeHash(path)}.nar`;
for (const path of [...common.flat(), old, now]) files.set(narFile(path), zstd(files.get(narFile(path))!));
