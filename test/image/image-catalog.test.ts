import { describe, expect, it } from "vitest";

import { ImageCatalog } from "../../src/image/image-catalog.ts";
import { imageDocuments } from "../../src/image/image-documents.ts";
import { decodeRecord, encodeRecord, type ImageRecord } from "../../src/image/image-record.ts";
import { mountPoints } from "../../src/image/mount-points.ts";
import { baseName } from "../../src/nix/store-path.ts";
import { sha256Digest } from "../../src/oci/digest.ts";
import { mediaTypes } from "../../src/oci/documents.ts";
import { pathOf } from "../resolver/fake-store.ts";
import { parse } from "./images-fixture.ts";
import { recordOf } from "./store-fixture.ts";

const layer = { digest: sha256Digest(Buffer.from("layer")), size: 5 };
const other = { digest: sha256Digest(Buffer.from("other")), size: 5 };
const inRepository = (tag: string, of = layer): ImageRecord => ({
  ...recordOf(tag, of, "main/closure/x"),
  tag,
  user: "65532",
});

it("knows an image by everything that it is asked for by, in its own repository alone", () => {
  const catalog = new ImageCatalog();
  const record = inRepository("1-n");
  catalog.put(record);
  const { index, manifests, configs } = imageDocuments(record);
  const { repository } = record;
  expect(catalog.get(repository, "1-n")).toBe(record);
  expect(catalog.layerOf(record.layerKey)).toEqual(layer);
  expect(catalog.document(repository, index.digest, "index")).toEqual(index);
  expect(catalog.document(repository, manifests[1]!.digest, "manifest")).toEqual(manifests[1]);
  expect(catalog.document(repository, configs[0]!.digest, "config")).toEqual(configs[0]);
  expect(catalog.imageWithLayer(repository, layer.digest)).toBe(record);
  // A digest is only what it is the digest of.
  expect(catalog.document(repository, index.digest, "manifest")).toBeUndefined();
  expect(catalog.document(repository, layer.digest, "config")).toBeUndefined();
  expect(catalog.document("main/closure/y", index.digest, "index")).toBeUndefined();
  expect(catalog.imageWithLayer("main/closure/y", layer.digest)).toBeUndefined();
});

it("keeps a layer that two tags of a repository have until both are gone", () => {
  const catalog = new ImageCatalog();
  const [a, b] = [inRepository("1-a"), inRepository("1-b")];
  catalog.put(a);
  catalog.put(b);
  expect(catalog.tags(a.repository)).toEqual(["1-a", "1-b"]);
  expect(catalog.withLayer(layer.digest)).toEqual([a, b]);
  catalog.drop(a);
  catalog.drop(a);
  expect(catalog.imageWithLayer(a.repository, layer.digest)).toBe(b);
  expect(catalog.layerOf(a.layerKey)).toBeUndefined();
  catalog.drop(b);
  expect(catalog.imageWithLayer(a.repository, layer.digest)).toBeUndefined();
  expect(catalog.withLayer(layer.digest)).toEqual([]);
  expect(catalog.tags(a.repository)).toEqual([]);
});

it("forgets the old image of a tag that has another one now", () => {
  const catalog = new ImageCatalog();
  const [old, now] = [inRepository("1-a"), inRepository("1-a", other)];
  catalog.put(old);
  catalog.put(now);
  expect(catalog.get(old.repository, "1-a")).toBe(now);
  expect(catalog.withLayer(layer.digest)).toEqual([]);
  expect(catalog.document(old.repository, imageDocuments(old).index.digest, "index")).toBeUndefined();
  catalog.drop(old);
  expect(catalog.get(old.repository, "1-a")).toBe(now);
});

describe("mount points", () => {
  const mounted = (tag: string): ImageRecord => ({
    ...inRepository(tag),
    mountPoints: mountPoints([baseName(pathOf(tag))]),
  });

  it("are known by their digest, in the image's repository alone, and are no other piece of it", () => {
    const catalog = new ImageCatalog();
    const record = mounted("1-a");
    const { repository } = record;
    const { digest } = record.mountPoints!;
    catalog.put(record);
    expect(catalog.mountPoints(repository, digest)).toBe(record.mountPoints);
    expect(catalog.mountPoints("main/closure/y", digest)).toBeUndefined();
    expect(catalog.mountPoints(repository, layer.digest)).toBeUndefined();
    expect(catalog.imageWithLayer(repository, digest)).toBeUndefined();
    expect(catalog.withLayer(digest)).toEqual([]);
    expect(catalog.document(repository, digest, "config")).toBeUndefined();
  });

  it("of the records that were dropped last are still known, of a hundred at most", () => {
    const catalog = new ImageCatalog();
    const records = Array.from({ length: 101 }, (_, number) => mounted(`1-${number}`));
    for (const record of records) catalog.put(record);
    for (const record of records) catalog.drop(record);
    const known = records.filter(
      ({ repository, mountPoints: { digest } = layer }) =>
        catalog.mountPoints(repository, digest) !== undefined,
    );
    expect(known).toEqual(records.slice(1));
    expect(catalog.mountPoints("main/closure/y", records[100]!.mountPoints!.digest)).toBeUndefined();
  });

  it("are a second layer of the documents, above the other", () => {
    const record = mounted("1-a");
    const [manifest] = imageDocuments(record).manifests.map((document) => parse(document));
    const layers = [layer, record.mountPoints!].map(({ digest, size }) => ({
      mediaType: mediaTypes.layerTar,
      digest,
      size,
    }));
    expect(manifest!["layers"]).toEqual(layers);
    for (const config of imageDocuments(record).configs)
      expect(parse(config)).toMatchObject({
        rootfs: { diff_ids: [layer.digest, record.mountPoints!.digest] },
        history: [{ created_by: "test" }, { created_by: "test, mount points" }],
      });
  });
});

describe("a record", () => {
  const mounted = { ...inRepository("1-a"), mountPoints: mountPoints([baseName(pathOf("a"))]) };

  it.each([inRepository("1-a"), recordOf("ä\n\u0000", layer), mounted])(
    "is read back as it was written: %#",
    (record) => {
      expect(decodeRecord(encodeRecord(record))).toEqual(record);
    },
  );

  it("without mount points has the version that all had before there were any", () => {
    expect(parse({ bytes: encodeRecord(inRepository("1-a")) })).toMatchObject({ version: 1 });
    expect(parse({ bytes: encodeRecord(inRepository("1-a")) })).not.toHaveProperty("mountPoints");
    expect(parse({ bytes: encodeRecord(mounted) })).toMatchObject({
      version: 2,
      mountPoints: [baseName(pathOf("a"))],
    });
  });

  it.each<[string, object]>([
    ["of the first version", { version: 1 }],
    ["that lead out of the layer", { mountPoints: ["../../etc"] }],
    ["that are no names of store paths", { mountPoints: ["x"] }],
    ["that are no texts", { mountPoints: [7] }],
    ["that are no list", { mountPoints: {} }],
  ])("with mount points %s is not read", (_, change) => {
    const fields = parse({ bytes: encodeRecord(mounted) });
    expect(decodeRecord(Buffer.from(JSON.stringify(fields)))).toEqual(mounted);
    expect(decodeRecord(Buffer.from(JSON.stringify({ ...fields, ...change })))).toBeUndefined();
  });
});
