import { describe as group, expect, test } from "vitest";

import { parseDigest, sha256Digest } from "../../src/oci/digest.ts";
import { describe, imageConfig, imageIndex, imageManifest, mediaTypes } from "../../src/oci/documents.ts";

const layer = { digest: parseDigest(`sha256:${"ab".repeat(32)}`), size: 2048 };
const upper = { digest: parseDigest(`sha256:${"cd".repeat(32)}`), size: 1536 };
const layers = [{ ...layer, createdBy: "c" }];

function text(document: { readonly bytes: Uint8Array }): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(document.bytes);
}

const config = imageConfig({
  architecture: "amd64",
  layers: [{ ...layer, createdBy: "nix-closure 1", comment: "/nix/store/x" }],
  labels: { "nix.closure/path": "/nix/store/x", a: "é" },
  user: "65532",
  env: ["PATH=/bin"],
});
const manifest = imageManifest({ config, layers: [layer], annotations: { z: "1", b: "2" } });

group("bytes, which a digest covers, are fixed", () => {
  test("of a config", () => {
    expect(text(config)).toBe(
      '{"created":"1970-01-01T00:00:01Z","architecture":"amd64","os":"linux",' +
        '"config":{"User":"65532","Env":["PATH=/bin"],"Labels":{"a":"é","nix.closure/path":"/nix/store/x"}},' +
        `"rootfs":{"type":"layers","diff_ids":["${layer.digest}"]},` +
        '"history":[{"created":"1970-01-01T00:00:01Z","created_by":"nix-closure 1","comment":"/nix/store/x"}]}',
    );
  });

  test("of a config with nothing optional", () => {
    expect(text(imageConfig({ architecture: "arm64", layers }))).toBe(
      '{"created":"1970-01-01T00:00:01Z","architecture":"arm64","os":"linux","config":{},' +
        `"rootfs":{"type":"layers","diff_ids":["${layer.digest}"]},` +
        '"history":[{"created":"1970-01-01T00:00:01Z","created_by":"c"}]}',
    );
  });

  test("of a manifest", () => {
    expect(text(manifest)).toBe(
      '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",' +
        `"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"${config.digest}","size":${config.bytes.length}},` +
        `"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"${layer.digest}","size":2048}],` +
        '"annotations":{"b":"2","z":"1"}}',
    );
  });

  // Every diffID has its history (nix2container's issue 57), in the order of the layers.
  test("of a config and a manifest with two layers", () => {
    const two = imageConfig({ architecture: "amd64", layers: [...layers, { ...upper, createdBy: "d" }] });
    expect(text(two)).toBe(
      '{"created":"1970-01-01T00:00:01Z","architecture":"amd64","os":"linux","config":{},' +
        `"rootfs":{"type":"layers","diff_ids":["${layer.digest}","${upper.digest}"]},` +
        '"history":[{"created":"1970-01-01T00:00:01Z","created_by":"c"},' +
        '{"created":"1970-01-01T00:00:01Z","created_by":"d"}]}',
    );
    expect(text(imageManifest({ config: two, layers: [layer, upper] }))).toBe(
      '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",' +
        `"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"${two.digest}","size":${two.bytes.length}},` +
        `"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"${layer.digest}","size":2048},` +
        `{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"${upper.digest}","size":1536}]}`,
    );
  });

  test("of an index", () => {
    const index = imageIndex({
      manifests: [
        { document: manifest, architecture: "amd64" },
        { document: manifest, architecture: "arm64" },
      ],
    });
    const entry = `"mediaType":"${mediaTypes.manifest}","digest":"${manifest.digest}","size":${manifest.bytes.length}`;
    expect(text(index)).toBe(
      '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[' +
        `{${entry},"platform":{"architecture":"amd64","os":"linux"}},` +
        `{${entry},"platform":{"architecture":"arm64","os":"linux"}}]}`,
    );
  });
});

test("the order in which labels are given does not matter", () => {
  const one = imageConfig({ architecture: "amd64", layers, labels: { a: "1", b: "2" } });
  const other = imageConfig({ architecture: "amd64", layers, labels: { b: "2", a: "1" } });
  expect(one.digest).toBe(other.digest);
});

test.each([config, manifest])("a document's digest and size are those of its bytes: %#", (document) => {
  expect(document.digest).toBe(sha256Digest(document.bytes));
  expect(describe(document)).toStrictEqual({
    mediaType: document.mediaType,
    digest: sha256Digest(document.bytes),
    size: document.bytes.length,
  });
});
