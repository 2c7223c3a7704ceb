import { createHash } from "node:crypto";
import { link, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { constants, zstdCompressSync } from "node:zlib";
import { demoCache, demoPublicKey } from "../../demo/configuration.ts";
import { formatNarHash } from "../../src/nix/hash.ts";
import { parseNarInfo, type NarInfo } from "../../src/nix/narinfo.ts";
import { storeHash, type StorePath } from "../../src/nix/store-path.ts";
import { createSigner, formatNarInfo } from "../../test/nix/signer.ts";
import { cachedDirectory, cacheRoot } from "../../test/programs/cache.ts";
import { syntheticListing, type SyntheticPath } from "../synthetic-paths.ts";
import { ownBytes, ownStorePaths, sharedBytes, sharedStorePaths, syntheticPaths } from "./closures.ts";
import { contentSize, syntheticNar } from "./path-contents.ts";

const signer = createSigner("bench-1");

/** By which the paths of {@link makeBenchCache} are signed. */
export const cacheKeys: readonly string[] = [signer.publicKey, demoPublicKey];

/** Changes with what the cache holds. */
const form = "2";

/** As `nix copy --to 'file:///...?compression=zstd'` does by default. */
const level = { params: { [constants.ZSTD_c_compressionLevel]: 3 } };

/**
 * A binary cache with the demo's paths and the synthetic ones, NARs compressed with zstd, made once.
 *
 * @returns its directory
 */
export function makeBenchCache(): Promise<string> {
  const names = createHash("sha256").update(form).update(process.version);
  for (const path of syntheticPaths) names.update(`${path.storePath} ${path.references.length}\n`);
  const name = `pod-start-cache-${names.digest("hex").slice(0, 12)}`;
  return cachedDirectory(join(cacheRoot, "bench", name), async (directory) => {
    await mkdir(join(directory, "nar"));
    for (const entry of await readdir(demoCache, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const file = join(entry.parentPath, entry.name);
      const target = join(directory, file.slice(demoCache.length));
      // Another file system has no links to this one.
      await link(file, target).catch(async () => writeFile(target, await readFile(file)));
    }
    const sizes = contentSizes();
    for (const path of syntheticPaths) {
      await addCachedPath(directory, path, sizes.get(path.storePath) ?? 0);
      const listing = join(directory, `${storeHash(path.storePath)}.ls`);
      await writeFile(listing, syntheticListing(path));
    }
  });
}

/** Bytes of content by store path. */
function contentSizes(): ReadonlyMap<StorePath, number> {
  const sizes = new Map(syntheticPaths.map(({ storePath }) => [storePath, contentSize(storePath)]));
  const drawn = [...sharedStorePaths].reduce((sum, path) => sum + (sizes.get(path) ?? 0), 0);
  for (const path of sharedStorePaths) {
    sizes.set(path, Math.round(((sizes.get(path) ?? 0) * sharedBytes) / drawn));
  }
  for (const path of ownStorePaths) sizes.set(path, ownBytes);
  return sizes;
}

/**
 * Writes a path with so many bytes of content into a binary cache.
 *
 * @returns bytes of its NAR, uncompressed and compressed
 */
export async function addCachedPath(
  directory: string,
  path: SyntheticPath,
  bytes: number,
): Promise<{ readonly narSize: number; readonly fileSize: number }> {
  const nar = syntheticNar(path, bytes);
  const file = zstdCompressSync(nar, level);
  const hash = String(storeHash(path.storePath));
  const url = `nar/${hash}.nar.zst`;
  const signed = {
    storePath: path.storePath,
    narHash: formatNarHash(createHash("sha256").update(nar).digest()),
    narSize: nar.length,
    references: [...path.references].toSorted(),
  };
  const narInfo = formatNarInfo({
    ...signed,
    url,
    compression: "zstd",
    fileHash: formatNarHash(createHash("sha256").update(file).digest()),
    fileSize: file.length,
    signatures: [signer.sign(signed)],
  });
  await writeFile(join(directory, url), file);
  await writeFile(join(directory, `${hash}.narinfo`), narInfo);
  return { narSize: nar.length, fileSize: file.length };
}

/** The closure of some roots, as the cache has it, sorted by store path. */
export async function cachedClosure(
  directory: string,
  roots: readonly StorePath[],
): Promise<readonly NarInfo[]> {
  const found = new Map<StorePath, NarInfo>();
  const queue = [...roots];
  for (const path of queue) {
    if (found.has(path)) continue;
    const info = parseNarInfo(await readFile(join(directory, `${storeHash(path)}.narinfo`)));
    found.set(path, info);
    queue.push(...info.references);
  }
  return [...found.values()].toSorted((a, b) => (a.storePath < b.storePath ? -1 : 1));
}
