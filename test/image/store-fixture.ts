import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

import { onTestFinished } from "vitest";

import { BlobStore, type MadeLayer } from "../../src/image/blob-store.ts";
import type { ImageLayer, ImageRecord } from "../../src/image/image-record.ts";
import { silentImagesLog } from "../../src/image/images-observer.ts";
import type { OpenBlob } from "../../src/image/images.ts";
import type { ImagesObserver } from "../../src/image/images-observer.ts";
import type { Layer } from "../../src/image/layer-writer.ts";
import { sha256Digest } from "../../src/oci/digest.ts";
import { mediaTypes } from "../../src/oci/documents.ts";

const never = new AbortController().signal;

/** Notes what it is told. */
export class RecordingObserver implements ImagesObserver {
  readonly conversions: Parameters<ImagesObserver["conversion"]>[0][] = [];
  readonly evicted: number[] = [];
  size = { bytes: 0, blobs: 0 };
  /** Requests that waited at most, and that wait now. */
  readonly waited = { most: 0, now: 0 };

  /** Images that were read ahead, by what came of them. */
  readonly ahead = { converted: 0, known: 0, failed: 0, dropped: 0 };

  conversion(event: Parameters<ImagesObserver["conversion"]>[0]): void {
    this.conversions.push(event);
  }
  blobStore(size: { readonly bytes: number; readonly blobs: number }): void {
    this.size = size;
  }
  eviction(bytes: number): void {
    this.evicted.push(bytes);
  }
  readAhead(outcome: keyof RecordingObserver["ahead"], images: number): void {
    this.ahead[outcome] += images;
  }
  waiting(requests: number): void {
    this.waited.now = requests;
    this.waited.most = Math.max(this.waited.most, requests);
  }
}

/** A store that is closed with the test; its clock goes on by a second with each look at it. */
export async function openStore(
  directory: string,
  options: {
    readonly maxBytes?: number;
    readonly observer?: ImagesObserver;
    readonly now?: () => number;
  } = {},
): Promise<BlobStore> {
  const { maxBytes = 1_000_000, observer = new RecordingObserver(), now = Date.now } = options;
  const store = await BlobStore.open({ directory, maxBytes, observer, log: silentImagesLog, now });
  onTestFinished(() => store.close());
  return store;
}

/** Bytes that follow from a name. */
export function bytesOf(name: string, size: number): Buffer {
  const seed = createHash("sha256").update(name).digest();
  return Buffer.concat(Array.from({ length: Math.ceil(size / 32) }, () => seed)).subarray(0, size);
}

/** The record of an image with this layer alone. */
export function recordOf(name: string, layer: Layer, repository = `main/path/${name}`): ImageRecord {
  return {
    repository,
    tag: "1",
    layers: [{ key: `key ${name}`, digest: layer.digest, size: layer.size }],
    labels: { name },
    createdBy: "test",
  };
}

/** Puts blobs into a store, each with bytes that follow from its name, so many; whoever does so has leases on them. */
export async function publishLayers(
  store: BlobStore,
  names: readonly string[],
  size: number,
): Promise<readonly ImageLayer[]> {
  const reservation = await store.budget.reserve(names.length * size, never);
  const made: MadeLayer[] = [];
  for (const name of names) {
    const bytes = bytesOf(name, size);
    const temporary = store.temporaryFile();
    await store.writeTemporary(temporary, bytes);
    made.push({ temporary, key: `key ${name}`, digest: sha256Digest(bytes), size });
  }
  await store.publish(made, reservation);
  return made.map(({ key, digest }) => ({ key, digest, size }));
}

/** Puts an image into a store whose layers have so many bytes each: one with its own name, or those named. */
export async function addImage(
  store: BlobStore,
  name: string,
  size: number,
  layerNames: readonly string[] = [name],
): Promise<ImageRecord> {
  const layers = await publishLayers(store, layerNames, size);
  const record = { ...recordOf(name, layers[0]!), layers };
  if (!(await store.useRecord(record))) throw new Error(`${name} is gone already`);
  for (const { digest } of layers) store.endLease(digest);
  return record;
}

/** The lowest layer of an image, the only one of most. */
export function lowestOf({ layers }: ImageRecord): ImageLayer {
  return layers[0]!;
}

/** The names of the images that a store has, sorted. */
export function namesIn(store: BlobStore, names: readonly string[]): readonly string[] {
  return names.filter((name) => store.catalog.get(`main/path/${name}`, "1") !== undefined);
}

/** The bytes of an image's lowest layer as the store serves them; undefined if it has none. */
export async function readLayer(store: BlobStore, record: ImageRecord): Promise<Buffer | undefined> {
  const blob = await store.open(lowestOf(record).digest, mediaTypes.layerTar);
  if (blob === undefined) return undefined;
  try {
    return await readAll(blob);
  } finally {
    await blob.close();
  }
}

export async function readAll(blob: OpenBlob, range?: { start: number; end: number }): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of blob.read(range) as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** All files of a store's directory but its lock, relative to it. */
export async function filesIn(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .toSorted();
}

/** Fails unless every blob of a directory has the digest of its name. */
export async function checkBlobs(directory: string): Promise<number> {
  const blobs = join(directory, "blobs", "sha256");
  const names = await readdir(blobs);
  for (const name of names) {
    const found = createHash("sha256")
      .update(await readFile(join(blobs, name)))
      .digest("hex");
    if (found !== name) throw new Error(`blob ${name} has digest ${found}`);
  }
  return names.length;
}
