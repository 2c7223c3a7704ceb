import type { ImageRecord } from "./image-record.ts";
import type { StoreDirectory, StoredRecord } from "./store-directory.ts";

/** What a directory holds, and what had to go. */
export interface Repaired {
  /** Each has its blobs, of the right sizes; the longest unused first. */
  readonly records: readonly ImageRecord[];
  /** Of the image that was used last, in milliseconds since the epoch; 0 without any. */
  readonly lastUse: number;
  readonly removedRecords: number;
  readonly removedBlobs: number;
}

/**
 * Repairs what an earlier process may have left: removes temporary files, records that cannot be read or lack a blob
 * of the right size, and blobs without a record. No blob is read: that is done before it is served.
 *
 * @throws diskFailed
 */
export async function repairDirectory(files: StoreDirectory): Promise<Repaired> {
  await files.clearTemporary();
  const blobs = await files.listBlobs();
  const sizes = new Map(blobs.map(({ digest, size }) => [digest, size]));
  const { stored, unreadable } = await files.loadRecords();

  const kept: StoredRecord[] = [];
  for (const each of stored.toSorted((a, b) => a.lastUse - b.lastUse)) {
    if (each.record.layers.every(({ digest, size }) => sizes.get(digest) === size)) kept.push(each);
    else await files.removeRecord(each.record);
  }
  const records = kept.map(({ record }) => record);
  const wanted = new Set(records.flatMap(({ layers }) => layers.map(({ digest }) => digest)));
  for (const { digest } of blobs) if (!wanted.has(digest)) await files.removeBlob(digest);
  return {
    records,
    lastUse: kept.at(-1)?.lastUse ?? 0,
    removedRecords: unreadable + stored.length - records.length,
    removedBlobs: blobs.length - wanted.size,
  };
}
