import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { StoredBlob } from "../../src/image/stored-blob.ts";
import { sha256Digest } from "../../src/oci/digest.ts";

const minute = 60_000;

test("a blob is due to be hashed when it is read ten minutes after it was the last time", async () => {
  const directory = await mkdtemp(join(tmpdir(), "nix-closure-blob-"));
  try {
    const bytes = Buffer.alloc(1000, "x");
    await writeFile(join(directory, "blob"), bytes);
    let now = 0;
    const blob = new StoredBlob({ digest: sha256Digest(bytes), size: bytes.length }, () => now);
    await using file = await open(join(directory, "blob"));
    expect(blob.isDue).toBe(true);
    // Nothing is known of the file, so that all of it is read.
    expect(await blob.isGood(file)).toBe(true);
    expect(blob.isDue).toBe(false);
    now += 10 * minute - 1;
    expect(blob.isDue).toBe(false);
    now += 1;
    expect(blob.isDue).toBe(true);
    // The file is the same, so that nothing of it is read.
    expect(await blob.isGood(file)).toBe(true);
    expect(blob.isDue).toBe(true);
    blob.wasHashed();
    expect(blob.isDue).toBe(false);
  } finally {
    await rm(directory, { recursive: true });
  }
});
