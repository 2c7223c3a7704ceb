import { createHash } from "node:crypto";
import { cp, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";

import { expect } from "vitest";

import { createImages } from "../../src/image/create-images.ts";
import { decodeRecord, type ImageRecord } from "../../src/image/image-record.ts";
import type { Resolver } from "../../src/resolver/resolver.ts";
import { pullLayer } from "./pull-layer.ts";
import { checkBlobs, RecordingObserver } from "./store-fixture.ts";

/** Random numbers that follow from a seed (mulberry32), so that a run can be repeated. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The same items in another order. */
export function shuffled<T>(items: readonly T[], random: () => number): readonly T[] {
  return items
    .map((item) => [random(), item] as const)
    .toSorted(([a], [b]) => a - b)
    .map(([, item]) => item);
}

/** Images that are pulled after a start; the bytes of the others are looked at as files. */
const pulled = 3;

/** What a store's directory holds, seen from outside. */
export interface StoreFiles {
  /** By tag and repository. */
  readonly records: ReadonlyMap<string, ImageRecord>;
  /** Names of blobs' files. */
  readonly blobs: readonly string[];
  /** Bytes of temporary files. */
  readonly temporary: readonly number[];
  readonly locks: readonly string[];
}

export async function lookInto(directory: string): Promise<StoreFiles> {
  const temporary = await readdir(join(directory, "temporary"));
  const images = await readdir(join(directory, "images"));
  const records = new Map<string, ImageRecord>();
  for (const name of images) {
    const record = decodeRecord(await readFile(join(directory, "images", name)));
    // Records come by a rename: none is ever half there.
    if (record === undefined) throw new Error(`${name} is no record`);
    records.set(`${record.repository}:${record.tag}`, record);
  }
  return {
    records,
    blobs: await readdir(join(directory, "blobs", "sha256")),
    temporary: await Promise.all(
      temporary.map(async (name) => (await stat(join(directory, "temporary", name))).size),
    ),
    locks: (await readdir(directory)).filter((name) => name.startsWith("lock-")),
  };
}

/**
 * Starts in a directory where a process was killed. What the start leaves must be whole: nothing temporary, blobs with
 * the bytes of their names, an account of as many bytes as there are, and right bytes for images of the store.
 */
export async function expectWhole(options: {
  readonly resolver: Resolver;
  readonly directory: string;
  readonly maxBytes: number;
  /** By image, what its layer must have. */
  readonly digests: ReadonlyMap<string, string>;
  readonly random: () => number;
}): Promise<void> {
  const { resolver, directory, maxBytes, digests, random } = options;
  const observer = new RecordingObserver();
  const images = await createImages({ resolver, directory, maxBytes, observer, readAhead: false });
  try {
    const files = await lookInto(directory);
    expect(files.temporary).toEqual([]);
    expect(files.locks).toHaveLength(1);
    expect(await checkBlobs(directory)).toBe(files.blobs.length);
    const sizes = await Promise.all(
      files.blobs.map(async (name) => (await stat(join(directory, "blobs", "sha256", name))).size),
    );
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    expect(observer.size).toEqual({ bytes, blobs: files.blobs.length });
    expect(bytes).toBeLessThanOrEqual(maxBytes);
    for (const [name, { repository, tag }] of shuffled([...files.records], random).slice(0, pulled)) {
      const layer = await pullLayer(images, [repository, tag]);
      expect(`sha256:${createHash("sha256").update(layer).digest("hex")}`).toBe(digests.get(name));
    }
    // All of it was there.
    expect(observer.conversions).toEqual([]);
  } finally {
    await images.close();
  }
  expect(await readdir(directory)).toEqual(["blobs", "images", "temporary"]);
}

/** Makes a directory, which no process uses, like another one: with its blobs and records, and no others. */
export async function refill(directory: string, from: string): Promise<void> {
  for (const part of [join("blobs", "sha256"), "images"]) {
    const wanted = await readdir(join(from, part));
    const present = await readdir(join(directory, part));
    const extra = present.filter((name) => !wanted.includes(name));
    await Promise.all(extra.map((name) => rm(join(directory, part, name))));
    const missing = wanted.filter((name) => !present.includes(name));
    await Promise.all(
      missing.map((name) =>
        cp(join(from, part, name), join(directory, part, name), { preserveTimestamps: true }),
      ),
    );
  }
}
