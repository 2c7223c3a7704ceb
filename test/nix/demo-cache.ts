import { readdirSync, readFileSync } from "node:fs";
import { zstdDecompressSync } from "node:zlib";
import { parseNarInfo, type NarInfo } from "../../src/nix/narinfo.ts";
import { storeHash } from "../../src/nix/store-path.ts";

const cache = new URL("../../demo/cache/", import.meta.url);

/** The key that signed the demo's binary cache. */
export const demoKey = "nixlab-1:XDs3FCDMjBrhoqKW3H+Z7ZHI/XsFAGGDww2GV8EotRo=";

/** The bytes of a file of the demo's binary cache. */
export function readDemoFile(name: string): Buffer {
  return readFileSync(new URL(name, cache));
}

/** The names of all files of the demo's binary cache that end so. */
export function demoFiles(ending: string): readonly string[] {
  return readdirSync(cache).filter((name) => name.endsWith(ending));
}

/** All narinfos of the demo's binary cache. */
export function demoNarInfos(): readonly NarInfo[] {
  return demoFiles(".narinfo").map((name) => parseNarInfo(readDemoFile(name)));
}

/** The NAR of a store path of the demo's binary cache, uncompressed. */
export function readDemoNar({ storePath }: Pick<NarInfo, "storePath">): Buffer {
  const { url } = parseNarInfo(readDemoFile(`${storeHash(storePath)}.narinfo`));
  return zstdDecompressSync(readDemoFile(url));
}
