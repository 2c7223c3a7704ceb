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

/** An image of two layers. */
const ofSeveral = (tag: string): ImageRecord => ({
  ...inRepository(tag),
  layers: [
    { key: "one", ...layer },
    { key: "two", ...other },
  ],
});

it("knows an image by everything that it is asked for by, in its own repository alone", () => {
  const catalog = new ImageCatalog();
  const record = inRepository("1-n");
  catalog.put(record);
  const { index, manifests, configs } = imageDocuments(record);
  const { repository } = record;
  expect(catalog.get(repository, "1-n")).toBe(record);
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
  catalog.drop(b);
  expect(catalog.imageWithLayer(a.repository, layer.digest)).toBeUndefined();
  expect(catalog.withLayer(layer.digest)).toEqual([]);
  expect(catalog.tags(a.repository)).toEqual([]);
});

it("knows an image by each of its layers, until it is dropped", () => {
  const catalog = new ImageCatalog();
  const [both, one] = [ofSeveral("1-b"), inRepository("1-a")];
  catalog.put(both);
  catalog.put(one);
  expect(catalog.withLayer(layer.digest)).toEqual([both, one]);
  expect(catalog.withLayer(other.digest)).toEqual([both]);
  expect(catalog.imageWithLayer(both.repository, other.digest)).toBe(both);
  catalog.drop(both);
  expect(catalog.withLayer(layer.digest)).toEqual([one]);
  expect(catalog.withLayer(other.digest)).toEqual([]);
  expect(catalog.imageWithLayer(both.repository, other.digest)).toBeUndefined();
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

  it("are a layer of the documents above all others", () => {
    const record = { ...mounted("1-a"), layers: ofSeveral("1-a").layers };
    const [manifest] = imageDocuments(record).manifests.map((document) => parse(document));
    const layers = [layer, other, record.mountPoints!].map(({ digest, size }) => ({
      mediaType: mediaTypes.layerTar,
      digest,
      size,
    }));
    expect(manifest!["layers"]).toEqual(layers);
    for (const config of imageDocuments(record).configs)
      expect(parse(config)).toMatchObject({
        rootfs: { diff_ids: [layer.digest, other.digest, record.mountPoints!.digest] },
        history: [{ created_by: "test" }, { created_by: "test" }, { created_by: "test, mount points" }],
      });
  });
});

describe("a record", () => {
  const mounted = { ...inRepository("1-a"), mountPoints: mountPoints([baseName(pathOf("a"))]) };
  const layered = ofSeveral("1-a");

  it.each([inRepository("1-a"), recordOf("ä\n\u0000", layer), mounted, layered])(
    "is read back as it was written: %#",
    (record) => {
      expect(decodeRecord(encodeRecord(record))).toEqual(record);
    },
  );

  it("of the versions before there were several layers is not read", () => {
    const { layers: _, ...rest } = parse({ bytes: encodeRecord(inRepository("1-a")) });
    const old = { ...rest, layerKey: "key 1-a", layer };
    expect(decodeRecord(Buffer.from(JSON.stringify({ ...old, version: 1 })))).toBeUndefined();
    const mountPoints = [baseName(pathOf("a"))];
    expect(decodeRecord(Buffer.from(JSON.stringify({ ...old, version: 2, mountPoints })))).toBeUndefined();
  });

  it.each<[string, object]>([
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
