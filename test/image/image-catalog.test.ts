import { expect, it } from "vitest";

import { ImageCatalog } from "../../src/image/image-catalog.ts";
import { imageDocuments } from "../../src/image/image-documents.ts";
import { decodeRecord, encodeRecord, type ImageRecord } from "../../src/image/image-record.ts";
import { sha256Digest } from "../../src/oci/digest.ts";
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

it("records are read back as they were written", () => {
  for (const record of [inRepository("1-a"), recordOf("ä\n\u0000", layer)]) {
    expect(decodeRecord(encodeRecord(record))).toEqual(record);
  }
});
