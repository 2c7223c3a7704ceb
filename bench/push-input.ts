import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeKeyPair } from "../src/nix/key-pair.ts";
import type { StorePath } from "../src/nix/store-path.ts";
import { cachedDirectory, cacheRoot } from "../test/programs/cache.ts";
import { addCachedPath } from "./pod-start/bench-cache.ts";
import { syntheticGraph } from "./synthetic-graph.ts";
import { syntheticKey } from "./synthetic-paths.ts";

/** Changes with what the cache holds. */
const form = "1";
/** The largest path has so many times the bytes of the smallest one. */
const spread = 64;

/** A closure in a binary cache of its own, without listings, as `nix copy` makes one. */
export interface PushInput {
  readonly root: StorePath;
  /** Directory of the cache. */
  readonly cache: string;
  readonly publicKey: string;
  /** Bytes of all NARs, uncompressed, and as they lie in the cache. */
  readonly narBytes: number;
  readonly fileBytes: number;
}

/**
 * The synthetic closure of so many paths, whose NARs have so many bytes together, made once. Its paths are of all sizes
 * between two that are far apart, as in closures of programs, and hold this machine's Node, which compresses as programs do.
 */
export async function pushInput(count: number, bytes: number): Promise<PushInput> {
  const { root, paths } = syntheticGraph(count, "push");
  const weights = paths.map(({ storePath }) => weightOf(storePath));
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  const name = `push-${count}-${bytes}-${process.version}-${form}`;
  const cache = await cachedDirectory(join(cacheRoot, "bench", name), async (directory) => {
    await mkdir(join(directory, "nar"));
    await writeFile(join(directory, "nix-cache-info"), "StoreDir: /nix/store\n");
    const sizes = { narBytes: 0, fileBytes: 0 };
    for (const [at, path] of paths.entries()) {
      const share = Math.round((bytes * (weights[at] ?? 0)) / whole);
      const { narSize, fileSize } = await addCachedPath(directory, path, share);
      sizes.narBytes += narSize;
      sizes.fileBytes += fileSize;
    }
    await writeFile(join(directory, "sizes.json"), JSON.stringify(sizes));
  });
  const sizes = JSON.parse(await readFile(join(cache, "sizes.json"), "utf8")) as Pick<
    PushInput,
    "narBytes" | "fileBytes"
  >;
  return { root, cache, publicKey: syntheticKey, ...sizes };
}

function weightOf(storePath: StorePath): number {
  const share = createHash("sha256").update(`size of ${storePath}`).digest().readUInt16LE(0) / 65536;
  return spread ** share;
}

/** Writes a secret key that signs what is pushed. */
export async function writeSignKey(file: string): Promise<void> {
  await writeFile(file, makeKeyPair("bench-1").secretKey, { mode: 0o600 });
}
