import { chmod, readFile, rename, stat, truncate, unlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import type { BlobStore } from "../../src/image/blob-store.ts";
import { recordId, type ImageRecord } from "../../src/image/image-record.ts";
import { digestHex, sha256Digest } from "../../src/oci/digest.ts";
import { mediaTypes } from "../../src/oci/documents.ts";
import { failureOf, temporaryDirectory, until } from "../resolver/fixture.ts";
import {
  addImage,
  bytesOf,
  checkBlobs,
  filesIn,
  lowestOf,
  namesIn,
  openStore,
  publishLayers,
  readAll,
  readLayer,
  RecordingObserver,
  recordOf,
} from "./store-fixture.ts";

const never = new AbortController().signal;

const blobFile = (directory: string, record: ImageRecord): string =>
  join(directory, "blobs", "sha256", digestHex(lowestOf(record).digest));
const recordFile = (directory: string, record: ImageRecord): string =>
  join(directory, "images", `${recordId(record)}.json`);

/** A clock that moves by a second each time it is read. */
function tickingClock(): () => number {
  let seconds = 1_700_000_000;
  return () => ++seconds * 1000;
}

describe("eviction", () => {
  it("takes what was not used for longest, and its records", async () => {
    const directory = await temporaryDirectory();
    const observer = new RecordingObserver();
    const store = await openStore(directory, { maxBytes: 100, observer });
    const [a] = await addAll(store, ["a", "b", "c"], 30);
    await readLayer(store, a!);
    await store.touch(a!);
    await addImage(store, "d", 50);
    expect(namesIn(store, ["a", "b", "c", "d"])).toEqual(["a", "d"]);
    expect(observer.evicted).toEqual([30, 30]);
    expect(observer.size).toEqual({ bytes: 80, blobs: 2 });
    expect(await filesIn(directory)).toHaveLength(4);
    expect(await checkBlobs(directory)).toBe(2);
  });

  it("leaves what is being read, and what is held", async () => {
    const store = await openStore(await temporaryDirectory(), { maxBytes: 100 });
    const [a, b] = await addAll(store, ["a", "b", "c"], 30);
    const blob = await store.open(lowestOf(a!).digest, mediaTypes.layerTar);
    const hold = await store.hold([lowestOf(b!).digest]);
    await addImage(store, "d", 40);
    expect(namesIn(store, ["a", "b", "c", "d"])).toEqual(["a", "b", "d"]);
    expect(await readAll(blob!)).toEqual(bytesOf("a", 30));

    const waiting = store.budget.reserve(90, never);
    await blob!.close();
    await blob!.close();
    hold!.release();
    const reservation = await waiting;
    expect(namesIn(store, ["a", "b", "c", "d"])).toEqual([]);
    reservation.release();
  });

  it("of a layer takes the records of all images with it", async () => {
    const directory = await temporaryDirectory();
    const store = await openStore(directory, { maxBytes: 100 });
    const a = await addImage(store, "a", 60);
    await store.useRecord(recordOf("a", lowestOf(a), "other/path/a"));
    expect((await filesIn(directory)).length).toBe(3);
    await addImage(store, "b", 60);
    expect(store.catalog.withLayer(lowestOf(a).digest)).toEqual([]);
    expect(await filesIn(directory)).toHaveLength(2);
    expect(await store.useRecord(recordOf("a", lowestOf(a), "third/path/a"))).toBe(false);
  });
});

describe("an image of several layers", () => {
  const expectGone = async (store: BlobStore, name: string): Promise<void> => {
    await until(() => namesIn(store, [name]).length === 0);
  };

  it("gives way layer by layer, and those that are left are found by what they are made from", async () => {
    const directory = await temporaryDirectory();
    const observer = new RecordingObserver();
    const store = await openStore(directory, { maxBytes: 100, observer });
    const a = await addImage(store, "a", 30, ["x", "y"]);
    await addImage(store, "b", 50);
    expect(namesIn(store, ["a", "b"])).toEqual(["b"]);
    expect(observer.evicted).toEqual([30]);
    expect(a.layers.map(({ key }) => store.useLayer(key))).toEqual([undefined, a.layers[1]]);
    expect(await store.useRecord(a)).toBe(false);
    expect(await store.hold(a.layers.map(({ digest }) => digest))).toBeUndefined();
    // Nothing has stayed held.
    await addImage(store, "c", 100);
    expect(await filesIn(directory)).toHaveLength(2);
  });

  it("stays whole while a client reads one of its layers, or has to come for one yet", async () => {
    const store = await openStore(await temporaryDirectory(), { maxBytes: 100 });
    const a = await addImage(store, "a", 30, ["x", "y"]);
    await addImage(store, "b", 30);
    const [x, y] = a.layers.map(({ digest }) => digest);
    store.lease(y!);
    expect(store.bytesInUse).toBe(60);
    await addImage(store, "c", 30);
    expect(namesIn(store, ["a", "b", "c"])).toEqual(["a", "c"]);
    const blob = await store.open(x!, mediaTypes.layerTar);
    store.endLease(y!);
    await addImage(store, "d", 30);
    expect(namesIn(store, ["a", "b", "c", "d"])).toEqual(["a", "d"]);
    await blob!.close();
    await addImage(store, "e", 60);
    await expectGone(store, "a");
  });

  it("is used with all of its layers, also after a restart", async () => {
    const directory = await temporaryDirectory();
    const now = tickingClock();
    const first = await openStore(directory, { maxBytes: 100, now });
    const a = await addImage(first, "a", 20, ["x", "y"]);
    await addImage(first, "b", 40);
    await first.touch(a);
    await first.close();
    const second = await openStore(directory, { maxBytes: 100, now });
    expect(a.layers.map(({ key }) => second.useLayer(key))).toEqual(a.layers);
    await addImage(second, "c", 40);
    expect(namesIn(second, ["a", "b", "c"])).toEqual(["a", "c"]);
  });

  it("that shares a layer with another one leaves it to that", async () => {
    const directory = await temporaryDirectory();
    const store = await openStore(directory, { maxBytes: 150 });
    await addImage(store, "a", 30, ["x", "y"]);
    const b = await addImage(store, "b", 30, ["y", "z"]);
    expect(store.budget.usedBytes).toBe(90);
    await addImage(store, "c", 70);
    expect(namesIn(store, ["a", "b", "c"])).toEqual(["b", "c"]);
    expect(b.layers.map(({ key }) => store.useLayer(key))).toEqual(b.layers);
    await store.close();
    const second = await openStore(directory);
    expect(namesIn(second, ["a", "b", "c"])).toEqual(["b", "c"]);
  });

  it("without one of its blobs is gone after a restart, and the other blobs with it", async () => {
    const directory = await temporaryDirectory();
    const first = await openStore(directory);
    const a = await addImage(first, "a", 30, ["x", "y"]);
    await addImage(first, "b", 30);
    await first.close();
    await unlink(join(directory, "blobs", "sha256", digestHex(a.layers[1]!.digest)));
    const second = await openStore(directory);
    expect(namesIn(second, ["a", "b"])).toEqual(["b"]);
    expect(await filesIn(directory)).toHaveLength(2);
  });

  it("that cannot be published in full is not published at all", async () => {
    const directory = await temporaryDirectory();
    const store = await openStore(directory);
    const [x, y] = [bytesOf("x", 30), bytesOf("y", 30)];
    const reservation = await store.budget.reserve(60, never);
    const temporary = store.temporaryFile();
    await store.writeTemporary(temporary, x);
    const made = [
      { key: "x", digest: sha256Digest(x), size: 30, temporary },
      { key: "y", digest: sha256Digest(y), size: 30, temporary: store.temporaryFile() },
    ];
    expect((await failureOf(store.publish(made, reservation))).code).toBe("DISK_FAILED");
    reservation.release();
    expect(store.budget.usedBytes).toBe(0);
    expect(await filesIn(directory)).toEqual([]);
    expect(store.useLayer("x")).toBeUndefined();
  });
});

describe("after a restart", () => {
  it("images, their bytes and the order of their use are as before", async () => {
    const directory = await temporaryDirectory();
    const now = tickingClock();
    const first = await openStore(directory, { maxBytes: 100, now });
    const records = await addAll(first, ["a", "b", "c"], 30);
    await first.touch(records[0]!);
    await first.touch(records[2]!);
    await first.close();

    const second = await openStore(directory, { maxBytes: 100, now });
    for (const record of records) {
      expect((await readLayer(second, record))?.equals(bytesOf(record.labels["name"]!, 30))).toBe(true);
    }
    await addImage(second, "d", 30);
    expect(namesIn(second, ["a", "b", "c", "d"])).toEqual(["a", "c", "d"]);
    await addImage(second, "e", 30);
    expect(namesIn(second, ["a", "b", "c", "d", "e"])).toEqual(["c", "d", "e"]);
  });

  it("with fewer bytes allowed, the longest unused are gone", async () => {
    const directory = await temporaryDirectory();
    const now = tickingClock();
    const first = await openStore(directory, { now });
    await addAll(first, ["a", "b", "c"], 30);
    await first.close();
    const observer = new RecordingObserver();
    const second = await openStore(directory, { maxBytes: 70, observer });
    expect(namesIn(second, ["a", "b", "c"])).toEqual(["b", "c"]);
    expect(observer.size).toEqual({ bytes: 60, blobs: 2 });
    await second.close();
    const third = await openStore(directory, { maxBytes: 10 });
    expect(namesIn(third, ["a", "b", "c"])).toEqual([]);
    expect(await filesIn(directory)).toEqual([]);
  });

  it("nothing is left of what was not finished, and foreign files stay", async () => {
    const directory = await temporaryDirectory();
    const first = await openStore(directory);
    const a = await addImage(first, "a", 30);
    await first.writeTemporary(first.temporaryFile(), bytesOf("x", 1000));
    await first.close();
    const orphan = bytesOf("orphan", 40);
    await writeFile(join(directory, "blobs", "sha256", digestHex(sha256Digest(orphan))), orphan);
    await writeFile(join(directory, "blobs", "sha256", "README"), "not ours");
    const second = await openStore(directory, { maxBytes: 100 });
    expect(await filesIn(directory)).toEqual(
      [
        "blobs/sha256/README",
        `blobs/sha256/${digestHex(lowestOf(a).digest)}`,
        `images/${recordId(a)}.json`,
      ].toSorted(),
    );
    expect(second.budget.usedBytes).toBe(30);
  });

  it("records without their blob, or with one of another size, are gone", async () => {
    const directory = await temporaryDirectory();
    const first = await openStore(directory);
    const [a, b, c] = await addAll(first, ["a", "b", "c"], 30);
    await first.close();
    await rename(blobFile(directory, a!), join(directory, "elsewhere"));
    await truncate(blobFile(directory, b!), 29);
    const second = await openStore(directory);
    expect(namesIn(second, ["a", "b", "c"])).toEqual(["c"]);
    expect((await readLayer(second, c!))?.equals(bytesOf("c", 30))).toBe(true);
    expect(await filesIn(directory)).toHaveLength(3);
  });

  it.each<[string, (text: string) => string]>([
    ["empty", () => ""],
    ["cut off", (text) => text.slice(0, -20)],
    ["no JSON", () => "\0\0\0\0"],
    ["a list", () => "[]"],
    ["null", () => "null"],
    ["of an older version", (text) => text.replace('"version":3', '"version":2')],
    ["of a newer version", (text) => text.replace('"version":3', '"version":4')],
    ["without layers", (text) => text.replace(/"layers":\[.*?\]/, '"layers":[]')],
    ["with a layer without a key", (text) => text.replace('"key"', '"kye"')],
    ["with a digest that is none", (text) => text.replace("sha256:", "sha256:../")],
    ["with a size that is none", (text) => text.replace('"size":30', '"size":-1')],
    ["with a label that is no text", (text) => text.replace('"name":"a"', '"name":{}')],
    ["of another image", (text) => text.replace("main/path/a", "main/path/z")],
    ["without a tag", (text) => text.replace('"tag"', '"tga"')],
  ])("a record that is %s is gone, and its blob with it", async (_, damage) => {
    const directory = await temporaryDirectory();
    const first = await openStore(directory);
    const [a] = await addAll(first, ["a", "b"], 30);
    await first.close();
    const file = recordFile(directory, a!);
    const text = await readFile(file, "utf8");
    const damaged = damage(text);
    expect(damaged).not.toBe(text);
    await writeFile(file, damaged);
    const second = await openStore(directory);
    expect(namesIn(second, ["a", "b"])).toEqual(["b"]);
    expect(await filesIn(directory)).toHaveLength(2);
    await addImage(second, "a", 30);
  });
});

describe("a damaged blob", () => {
  const flip = async (file: string, position: number): Promise<void> => {
    const bytes = await readFile(file);
    bytes[position]! ^= 1;
    await writeFile(file, bytes);
  };
  const damages: [string, (file: string) => Promise<void>][] = [
    ["a bit flipped at its start", async (file) => flip(file, 0)],
    ["a bit flipped at its end", async (file) => flip(file, 299_999)],
    ["cut off", async (file) => truncate(file, 299_000)],
    ["made longer", async (file) => truncate(file, 300_001)],
    ["emptied", async (file) => truncate(file, 0)],
    ["missing", async (file) => unlink(file)],
    ["zeros in place of its bytes", async (file) => writeFile(file, Buffer.alloc(300_000))],
  ];

  it.each(damages)("%s, is not served after a restart, but made again", async (_, damage) => {
    const directory = await temporaryDirectory();
    const first = await openStore(directory);
    const a = await addImage(first, "a", 300_000);
    await first.close();
    await damage(blobFile(directory, a));
    const second = await openStore(directory);
    expect(await readLayer(second, a)).toBeUndefined();
    expect(await second.hold([lowestOf(a).digest])).toBeUndefined();
    expect(namesIn(second, ["a"])).toEqual([]);
    expect(await filesIn(directory)).toEqual([]);
    expect(second.budget.usedBytes).toBe(0);
    await addImage(second, "a", 300_000);
    expect((await readLayer(second, a))?.equals(bytesOf("a", 300_000))).toBe(true);
  });

  it.each(damages)("%s, is not served when that happens while the store is open", async (_, damage) => {
    const directory = await temporaryDirectory();
    const store = await openStore(directory);
    const a = await addImage(store, "a", 300_000);
    expect((await readLayer(store, a))?.equals(bytesOf("a", 300_000))).toBe(true);
    await damage(blobFile(directory, a));
    expect(await readLayer(store, a)).toBeUndefined();
    expect(namesIn(store, ["a"])).toEqual([]);
  });

  it("whose times were set back is found as well", async () => {
    const directory = await temporaryDirectory();
    const store = await openStore(directory);
    const a = await addImage(store, "a", 300_000);
    const { atime, mtime } = await stat(blobFile(directory, a));
    await flip(blobFile(directory, a), 100);
    await utimes(blobFile(directory, a), atime, mtime);
    expect(await readLayer(store, a)).toBeUndefined();
  });

  it("breaks off, before its last bytes, where it was opened already", async () => {
    const directory = await temporaryDirectory();
    const store = await openStore(directory);
    const a = await addImage(store, "a", 1_000_000);
    const blob = await store.open(lowestOf(a).digest, mediaTypes.layerTar);
    await flip(blobFile(directory, a), 500_000);
    let received = 0;
    const read = (async () => {
      for await (const chunk of blob!.read() as AsyncIterable<Buffer>) received += chunk.length;
    })();
    const error = await failureOf(read);
    expect(error.code).toBe("DISK_FAILED");
    expect(received).toBeLessThan(1_000_000);
    await until(() => namesIn(store, ["a"]).length === 0);
    await blob!.close();
    await store.close();
    expect(await filesIn(directory)).toEqual([]);
  });

  it("that becomes shorter while it is read breaks off", async () => {
    const directory = await temporaryDirectory();
    const store = await openStore(directory);
    const a = await addImage(store, "a", 1_000_000);
    const blob = await store.open(lowestOf(a).digest, mediaTypes.layerTar);
    await truncate(blobFile(directory, a), 100);
    expect((await failureOf(readAll(blob!, { start: 0, end: 999_998 }))).code).toBe("DISK_FAILED");
    await blob!.close();
  });

  it("that is touched but not changed is looked at again, and served", async () => {
    const directory = await temporaryDirectory();
    const store = await openStore(directory);
    const a = await addImage(store, "a", 300_000);
    await chmod(blobFile(directory, a), 0o600);
    const reads = await Promise.all(Array.from({ length: 5 }, async () => readLayer(store, a)));
    for (const bytes of reads) expect(bytes?.equals(bytesOf("a", 300_000))).toBe(true);
  });
});

describe("reading", () => {
  it("gives ranges, both ends included", async () => {
    const store = await openStore(await temporaryDirectory());
    const a = await addImage(store, "a", 600_000);
    const all = bytesOf("a", 600_000);
    const blob = await store.open(lowestOf(a).digest, mediaTypes.layerTar);
    expect(blob).toMatchObject({ size: 600_000, mediaType: mediaTypes.layerTar });
    for (const [start, end] of [
      [0, 0],
      [0, 599_999],
      [1, 599_999],
      [599_999, 599_999],
      [262_143, 262_145],
      [262_144, 524_287],
      [100, 400_000],
    ] as const) {
      expect((await readAll(blob!, { start, end })).equals(all.subarray(start, end + 1))).toBe(true);
    }
    await blob!.close();
  });

  it("of a closed blob fails", async () => {
    const store = await openStore(await temporaryDirectory());
    const a = await addImage(store, "a", 1000);
    const blob = await store.open(lowestOf(a).digest, mediaTypes.layerTar);
    await blob!.close();
    expect((await failureOf(readAll(blob!))).code).toBe("DISK_FAILED");
  });
});

it("two layers with the same bytes are one blob, also when they come at once", async () => {
  const directory = await temporaryDirectory();
  const observer = new RecordingObserver();
  const store = await openStore(directory, { observer });
  const published = await Promise.all(["x", "y", "z"].map(async () => publishLayers(store, ["same"], 1000)));
  const [layer] = published[0]!;
  expect(observer.size).toEqual({ bytes: 1000, blobs: 1 });
  expect(store.budget.usedBytes).toBe(1000);
  expect(await filesIn(directory)).toEqual([`blobs/sha256/${digestHex(layer!.digest)}`]);
});

it("a second store in the same directory is refused, and can follow the first", async () => {
  const directory = await temporaryDirectory();
  const first = await openStore(directory);
  const error = await failureOf(openStore(directory));
  expect(error.code).toBe("BLOB_STORE_IN_USE");
  expect(error.message).toContain(directory);
  await first.close();
  await openStore(directory);
});

it("a directory that cannot be made is an error in words", async () => {
  const file = join(await temporaryDirectory(), "file");
  await writeFile(file, "");
  const error = await failureOf(openStore(join(file, "blobs")));
  expect(error.code).toBe("DISK_FAILED");
});

async function addAll(store: BlobStore, names: readonly string[], size: number): Promise<ImageRecord[]> {
  const records: ImageRecord[] = [];
  for (const name of names) records.push(await addImage(store, name, size));
  return records;
}
