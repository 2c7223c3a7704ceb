import { describe, expect, test } from "vitest";
import { parseClosureName } from "../../src/closure-index/closure-name.ts";
import {
  decodeNameDocument,
  encodeNameDocument,
  imagesOfName,
  type NameDocument,
  platformTag,
  profileIndex,
  storeIndex,
} from "../../src/closure-index/name-document.ts";
import {
  nameIndex,
  nameManifest,
  parseNameIndex,
  parseNameManifest,
} from "../../src/closure-index/name-index.ts";
import type { ManifestDescriptor } from "../../src/closure-index/closure-document.ts";
import { sha256Digest } from "../../src/oci/digest.ts";
import type { Document } from "../../src/oci/documents.ts";
import { demoPath } from "../patch/closures.ts";
import { manifestOf } from "./documents.ts";

const document: NameDocument = {
  name: parseClosureName("web-1.2"),
  closures: [
    {
      system: "aarch64-linux",
      root: demoPath("hello-app"),
      paths: 5,
      narSize: 21_004_592,
      document: manifestOf("arm document"),
      store: manifestOf("arm store"),
      profile: manifestOf("arm profile"),
    },
    {
      system: "x86_64-linux",
      root: demoPath("nginx-app-1.0"),
      paths: 14,
      narSize: 27_361_544,
      document: manifestOf("intel document"),
      store: manifestOf("intel store"),
      profile: manifestOf("intel profile"),
    },
  ],
};
const withoutProfile: NameDocument = {
  ...document,
  closures: document.closures.map((closure) => {
    const { profile: _, ...rest } = closure;
    return rest;
  }),
};

describe("the name document", () => {
  test.for<[string, NameDocument]>([
    ["of two systems", document],
    ["without profiles", withoutProfile],
    ["of one system", { ...document, closures: document.closures.slice(1) }],
  ])("%s is read as it was written", ([, one]) => {
    expect(decodeNameDocument(encodeNameDocument(one))).toEqual(one);
  });

  test("is the same in whatever order the systems are given", () => {
    const reversed = { ...document, closures: document.closures.toReversed() };
    expect(encodeNameDocument(reversed)).toEqual(encodeNameDocument(document));
  });

  // What is signed today has to be read for ever.
  test("has this form", () => {
    const text = Buffer.from(encodeNameDocument(document)).toString();
    expect(sha256Digest(Buffer.from(text))).toMatchInlineSnapshot(
      `"sha256:72d8b6febb6c3dd5c73ac52a510f1e9509d441a41aef3c1bb581f1ed1fa17f6a"`,
    );
    const json = JSON.parse(text) as Record<string, unknown>;
    expect(Object.keys(json)).toEqual(["version", "name", "closures", "store", "profile"]);
    expect(json["store"]).toEqual(descriptorOf(storeIndex(document)));
    expect(json["profile"]).toEqual(descriptorOf(profileIndex(document)!));
  });

  test.for(["", "[]", "{", '{"version":1}', '{"version":1,"closures":[]}'])("%j is none", (text) => {
    expect(() => decodeNameDocument(Buffer.from(text))).toThrow(
      expect.objectContaining({ code: "CLOSURE_INDEX_INVALID" }) as Error,
    );
  });

  test("is small, whatever the closures are", () => {
    expect(encodeNameDocument(document).length).toBeLessThan(2048);
  });
});

describe("the platform indexes", () => {
  test("have the image of each system, and tags that follow from what is in them", () => {
    const index = storeIndex(document);
    const json = JSON.parse(Buffer.from(index.bytes).toString()) as { manifests: object[] };
    expect(json).toEqual({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.index.v1+json",
      manifests: [
        {
          mediaType: "application/vnd.oci.image.manifest.v1+json",
          ...manifestOf("arm store"),
          platform: { architecture: "arm64", os: "linux" },
        },
        {
          mediaType: "application/vnd.oci.image.manifest.v1+json",
          ...manifestOf("intel store"),
          platform: { architecture: "amd64", os: "linux" },
        },
      ],
    });
    const tag = platformTag(document, "store", index);
    expect(tag).toMatch(
      /^4vlwxs24hwlvm23q063xvdmkzvlxjw1s_q0ningk88png4ipb9hm8ja6av167wdzk\.[0-9a-f]{16}\.store$/,
    );
    expect(tag).toContain(`.${index.digest.slice(7, 23)}.`);
    expect(tag.length).toBeLessThan(128);
    // Not from the name: it can move, and they stay.
    expect(storeIndex({ ...document, name: parseClosureName("other") }).digest).toBe(index.digest);
    expect(profileIndex(withoutProfile)).toBeUndefined();
  });
});

test("index and manifest of a name are read as they were written", () => {
  const manifest = nameManifest({
    document: manifestOf("document"),
    closures: document.closures.map((closure) => closure.document),
    signatures: ["a:AA==", "b:BB=="],
  });
  expect(parseNameManifest(manifest.bytes)).toEqual({
    document: manifestOf("document"),
    closures: [manifestOf("arm document"), manifestOf("intel document")],
    signatures: ["a:AA==", "b:BB=="],
  });
  const index = nameIndex(document, descriptorOf(manifest));
  expect(parseNameIndex(index.bytes)).toEqual({
    bytes: index.bytes,
    manifest: descriptorOf(manifest),
    name: "web-1.2",
  });
  expect(imagesOfName(document)).toHaveLength(4);
  expect(imagesOfName(withoutProfile)).toHaveLength(2);
});

function descriptorOf({ digest, bytes }: Document): ManifestDescriptor {
  return { digest, size: bytes.length };
}
