import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

import { createImages } from "../../src/image/create-images.ts";
import { storeHash, type StorePath } from "../../src/nix/store-path.ts";
import { createResolver } from "../../src/resolver/resolver.ts";
import { gzip, zstd } from "../compression/compress.ts";
import { directory } from "../nix/nar-samples.ts";
import { writeNar } from "../nix/nar-writer.ts";
import { cacheFiles, type FakePath, pathOf, signer } from "../resolver/fake-store.ts";
import { noLimits } from "../resolver/fixture.ts";
import type { CrashWork } from "./crash-child.ts";
import { randomFrom } from "./crash-fixture.ts";
import { pathImage } from "./images-fixture.ts";
import { pullLayer } from "./pull-layer.ts";

const compress = { none: (nar: Uint8Array) => nar, gzip, zstd } as const;

/** A path with a file of so many bytes, which no compression makes much smaller. */
export interface RandomPath {
  readonly name: string;
  readonly bytes: number;
  readonly compression: keyof typeof compress;
}

/** A cache of random paths, and what the images of the paths must be. */
export interface CrashStore {
  /** All that a process must be told, but for its directory. */
  readonly work: Pick<CrashWork, "paths" | "images">;
  /** By repository and tag. */
  readonly digests: ReadonlyMap<string, string>;
  /** Directory of a store that has all images, and that nobody uses. */
  readonly full: string;
}

/** @param place an empty directory, in which the cache is, and a store with all of it. */
export async function makeCrashStore(place: string, paths: readonly RandomPath[]): Promise<CrashStore> {
  const made = paths.map((path) => ({ ...path, storePath: pathOf(path.name), nar: narOf(path) }));
  const files = cacheFiles(
    made.map(({ storePath, nar, compression }): [StorePath, FakePath] => [
      storePath,
      { nar, fields: { compression } },
    ]),
  );
  for (const { storePath, nar, compression } of made)
    files.set(`nar/${storeHash(storePath)}.nar`, compress[compression](nar));
  const cache = join(place, "cache");
  for (const [name, bytes] of files) {
    await mkdir(dirname(join(cache, name)), { recursive: true });
    await writeFile(join(cache, name), bytes);
  }

  const resolver = createResolver({
    sources: [{ name: "main", caches: [pathToFileURL(cache).href], publicKeys: [signer.publicKey] }],
    limits: noLimits,
  });
  const full = join(place, "full");
  const reference = await createImages({ resolver, directory: full, maxBytes: 2 ** 30, readAhead: false });
  try {
    const images: CrashWork["images"][number][] = [];
    for (const { storePath } of made) {
      const name = pathImage(storePath);
      const layer = await pullLayer(reference, name);
      images.push({ name, digest: `sha256:${createHash("sha256").update(layer).digest("hex")}` });
    }
    const known = made.map(async ({ storePath }) => ({
      info: await resolver.lookup("main", storeHash(storePath)),
      locations: await resolver.narLocations("main", storePath),
    }));
    const digests = new Map(images.map(({ name, digest }) => [name.join(":"), digest]));
    return { work: { paths: await Promise.all(known), images }, digests, full };
  } finally {
    await reference.close();
    await resolver.close();
  }
}

function narOf({ name, bytes }: RandomPath): Buffer {
  const random = randomFrom(bytes);
  const contents = Buffer.alloc(bytes);
  for (let at = 0; at + 4 <= bytes; at += 4) contents.writeUInt32LE(Math.floor(random() * 2 ** 32), at);
  contents.write(name);
  return writeNar(directory({ data: { type: "regular", contents } }));
}
