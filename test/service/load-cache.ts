import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { onTestFinished } from "vitest";

import { storeHash, type StorePath } from "../../src/nix/store-path.ts";
import { directory } from "../nix/nar-samples.ts";
import { writeNar } from "../nix/nar-writer.ts";
import { cacheFiles, type FakePath, pathOf } from "../resolver/fake-store.ts";

/** Closures in a cache, all paths of which are directories. */
export interface LoadCache {
  /** Directory of the cache; the fake store's key signs it. */
  readonly place: string;
  /** One path for each closure: `/nix/store/...`. */
  readonly roots: readonly string[];
  /** The hash part of every path. */
  readonly hashes: readonly string[];
}

/** Makes a cache of closures that share nothing: each has so many paths, with a file of so many bytes each. */
export async function makeLoadCache(closures: number, paths: number, bytes: number): Promise<LoadCache> {
  const place = await mkdtemp(join(tmpdir(), "nix-closure-load-"));
  onTestFinished(() => rm(place, { recursive: true }));
  const contents = randomBytes(bytes);
  const made: (readonly [StorePath, FakePath])[] = [];
  const roots: string[] = [];
  for (let closure = 0; closure < closures; closure++) {
    const members = Array.from({ length: paths }, (_, i) => pathOf(`load-${closure}-${i}`));
    for (const [i, path] of members.entries()) {
      contents.write(path);
      const nar = writeNar(directory({ data: { type: "regular", contents } }));
      made.push([path, { nar, references: i === 0 ? members.slice(1) : [] }]);
    }
    roots.push(members[0]!);
  }
  for (const [name, file] of cacheFiles(made)) {
    await mkdir(dirname(join(place, name)), { recursive: true });
    await writeFile(join(place, name), file);
  }
  return { place, roots, hashes: made.map(([path]) => storeHash(path)) };
}
