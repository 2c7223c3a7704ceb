import { describe, expect, it } from "vitest";

import {
  checkClosureIndex,
  closureIndex,
  closureManifest,
  copiedClosureIndex,
  emptyConfig,
  parseClosureIndex,
  parseClosureManifest,
} from "../../src/closure-index/closure-index.ts";
import { encodeClosureDocument, maxManifestBytes } from "../../src/closure-index/closure-document.ts";
import { signClosure } from "../../src/closure-index/closure-signature.ts";
import { closureTag } from "../../src/closure-index/closure-tag.ts";
import { sha256Digest } from "../../src/oci/digest.ts";
import { describe as descriptorOf } from "../../src/oci/documents.ts";
import { failureOf } from "../nix/failure.ts";
import { demoDocument, largeDocument, manifestOf, secretKey, smallDocument } from "./documents.ts";

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

const documentBytes = encodeClosureDocument(smallDocument);
const documentDescriptor = { digest: sha256Digest(documentBytes), size: documentBytes.length };
const signature = signClosure(secretKey, {
  tag: closureTag(smallDocument.roots),
  system: smallDocument.system,
  document: documentDescriptor.digest,
});
const manifest = closureManifest({ document: documentDescriptor, signatures: [signature] });
const index = closureIndex(smallDocument, descriptorOf(manifest));

describe("bytes that a digest covers are fixed:", () => {
  it("of a closure manifest", () => {
    expect(text(manifest.bytes)).toBe(
      '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",' +
        '"artifactType":"application/vnd.nix-closure.closure.v1",' +
        '"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},' +
        `"layers":[{"mediaType":"application/vnd.nix-closure.closure.v1+json","digest":"${documentDescriptor.digest}","size":${documentDescriptor.size}}],` +
        `"annotations":{"org.nix-closure.signatures":"${signature}"}}`,
    );
    expect(text(emptyConfig.bytes)).toBe("{}");
  });

  it("of an index: store images, path images, and the closure manifest, which has no platform", () => {
    const image = (of: string): string => {
      const { digest, size } = manifestOf(of);
      return `{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"${digest}","size":${size},"platform":{"architecture":"amd64","os":"linux"}}`;
    };
    const [app, , library, tool] = smallDocument.paths.map(({ storePath }) => storePath);
    expect(text(index.bytes)).toBe(
      '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json",' +
        '"artifactType":"application/vnd.nix-closure.closure.v1","manifests":[' +
        [
          ...["app apart", "roots apart", app!, library!, tool!].map(image),
          `{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"${manifest.digest}","size":${manifest.bytes.length},"artifactType":"application/vnd.nix-closure.closure.v1"}`,
        ].join(",") +
        `],"annotations":{"org.nix-closure.roots":"${app!} ${tool!}","org.nix-closure.system":"x86_64-linux"}}`,
    );
  });

  it("of an index for the other architecture", () => {
    const other = closureIndex({ ...smallDocument, system: "aarch64-linux" }, descriptorOf(manifest));
    expect(text(other.bytes).match(/"architecture":"arm64"/g)).toHaveLength(5);
  });
});

describe("what was pushed", () => {
  it("is found again from the index on", () => {
    const fetched = parseClosureIndex(index.bytes);
    expect(fetched.closureManifest).toEqual({ digest: manifest.digest, size: manifest.bytes.length });
    expect(parseClosureManifest(manifest.bytes)).toEqual({
      document: documentDescriptor,
      signatures: [signature],
    });
    checkClosureIndex(fetched, smallDocument);
  });

  it("is found again where skopeo 1.9 has copied it, which knows no artifactType", () => {
    const { bytes } = copiedClosureIndex(smallDocument, descriptorOf(manifest));
    const written = changed(index.bytes, (json) => {
      json.artifactType = undefined;
      Object.assign(json.manifests.at(-1)!, { artifactType: undefined });
    });
    expect(text(bytes)).toBe(text(written));
    const fetched = parseClosureIndex(bytes);
    expect(fetched).toEqual({ ...parseClosureIndex(index.bytes), bytes });
    checkClosureIndex(fetched, smallDocument);
  });

  it("may have several signatures, or none", () => {
    for (const signatures of [[], [signature, "other-1:x"]]) {
      const { bytes } = closureManifest({ document: documentDescriptor, signatures });
      expect(parseClosureManifest(bytes).signatures).toEqual(signatures);
    }
  });

  it("fits into the 4 MiB that registries take, with all the paths that there can be", () => {
    const large = largeDocument(3844, 1);
    const { bytes } = closureIndex(large, descriptorOf(manifest));
    expect(bytes.length).toBeLessThan(maxManifestBytes / 2);
    checkClosureIndex(parseClosureIndex(bytes), large);
  });
});

/** The JSON of an index or a closure manifest, which can be made wrong in every way; what is undefined is left out. */
interface Json {
  mediaType: unknown;
  artifactType: unknown;
  config: { size: unknown };
  get manifests(): EntryJson[];
  set manifests(value: unknown);
  get layers(): { mediaType: unknown; digest: unknown; size: unknown }[];
  set layers(value: unknown);
  get annotations(): Record<string, unknown>;
  set annotations(value: unknown);
  subject?: unknown;
}
interface EntryJson {
  mediaType: unknown;
  digest: unknown;
  size: unknown;
  get platform(): { architecture: unknown };
  set platform(value: unknown);
  urls?: unknown;
}

function changed(bytes: Uint8Array, change: (json: Json) => unknown): Buffer {
  const json = JSON.parse(text(bytes)) as Json;
  const result = change(json);
  return Buffer.isBuffer(result) ? result : Buffer.from(JSON.stringify(json));
}

const evil = manifestOf("evil");
const artifact = "application/vnd.nix-closure.closure.v1";

describe("an index that was tampered with is refused:", () => {
  it.each<[string, (json: Json) => unknown, string]>([
    ["nothing", () => Buffer.of(), "the index is not JSON"],
    [
      "another kind of document",
      () => Buffer.from(manifest.bytes),
      'has mediaType "application/vnd.oci.image.man',
    ],
    [
      "an index of something else",
      (json) => (json.artifactType = "application/x"),
      'has artifactType "application/x", wanted is',
    ],
    [
      "an index of nothing that it tells",
      (json) => Object.assign(json, { artifactType: undefined, annotations: undefined }),
      "has artifactType none, wanted is",
    ],
    [
      "an index of something else with the same entries",
      (json) => (json.artifactType = undefined),
      "has something that the signed closure document does not account for",
    ],
    ["no entries", (json) => (json.manifests = []), "manifests: it has 0 members"],
    [
      "too many entries",
      (json) => (json.manifests = Array(3910).fill(json.manifests[0])),
      "manifests: it has 3910 members",
    ],
    [
      "no closure manifest",
      (json) => json.manifests.pop(),
      "the last entry of the index has artifactType none",
    ],
    [
      "an entry that is none",
      (json) => json.manifests.push(1 as never),
      "the last entry of the index is not an object",
    ],
    [
      "another digest",
      (json) => (json.manifests[1]!.digest = evil.digest),
      "entry 2 of the index has digest",
    ],
    ["another size", (json) => (json.manifests[1]!.size = 7), "entry 2 of the index.size: it is not 511"],
    ["a size that is none", (json) => (json.manifests[1]!.size = "511"), "entry 2 of the index.size: it is"],
    [
      "another media type",
      (json) => (json.manifests[1]!.mediaType = "text/plain"),
      "entry 2 of the index has media",
    ],
    [
      "another architecture",
      (json) => (json.manifests[1]!.platform.architecture = "arm64"),
      'entry 2 of the index.platform has architecture "arm64", wanted is "amd64"',
    ],
    [
      "no platform",
      (json) => (json.manifests[1]!.platform = undefined),
      "entry 2 of the index.platform is not an object",
    ],
    [
      "two entries exchanged",
      (json) => json.manifests.unshift(json.manifests.splice(1, 1)[0]!),
      "entry 1 of",
    ],
    ["an image more", (json) => json.manifests.unshift(json.manifests[0]!), "has 6 images, the signed"],
    [
      "an image less",
      (json) => json.manifests.shift(),
      "the index has 4 images, the signed closure document 5",
    ],
    [
      "an entry that is null",
      (json) => (json.manifests[0] = null as never),
      "entry 1 of the index is not an object",
    ],
    [
      "a second closure manifest",
      (json) => (json.manifests[0] = { ...json.manifests.at(-1)!, digest: evil.digest }),
      "entry 1 of the index has digest",
    ],
    [
      "other roots",
      (json) => (json.annotations["org.nix-closure.roots"] = smallDocument.roots[0]),
      "the index.annotations has org.nix-closure.roots",
    ],
    [
      "another system",
      (json) => (json.annotations["org.nix-closure.system"] = "aarch64-linux"),
      'org.nix-closure.system "aarch64-linux", wanted is "x86_64-linux"',
    ],
    ["no annotations", (json) => (json.annotations = undefined), "the index.annotations is not an object"],
    [
      "an annotation more",
      (json) => (json.annotations["x"] = "y"),
      "has something that the signed closure document",
    ],
    [
      "a member more",
      (json) => (json.subject = evil),
      "has something that the signed closure document does not",
    ],
    [
      "a member of an entry more",
      (json) => (json.manifests[0]!.urls = ["https://evil.example"]),
      "has something that the signed closure document does not account for",
    ],
    [
      "a member twice, of which other readers take the second",
      (json) => Buffer.from(JSON.stringify(json).replace("{", `{"manifests":[],`)),
      "has something that the signed closure document does not account for",
    ],
    [
      "white space",
      (json) => Buffer.from(JSON.stringify(json, null, 1)),
      "has something that the signed closure document does not account for",
    ],
    [
      "nesting without end",
      (json) => {
        const deep = `${"[".repeat(50_000)}${"]".repeat(50_000)}`;
        return Buffer.from(JSON.stringify(json).replace('"digest"', `"deep":${deep},"digest"`));
      },
      "has something that the signed closure document does not account for",
    ],
    ["more than 4 MiB", () => Buffer.alloc(maxManifestBytes + 1, " "), "at most 4194304 are allowed"],
  ])("%s", (_, change, reason) => {
    const bytes = changed(index.bytes, change);
    const { code, message } = failureOf(() => checkClosureIndex(parseClosureIndex(bytes), smallDocument));
    expect(code).toBe("CLOSURE_INDEX_INVALID");
    expect(message).toContain(reason);
    expect(message.length).toBeLessThan(1000);
  });

  it("the index of another closure", () => {
    const other = closureIndex(demoDocument("hello-app"), descriptorOf(manifest));
    const { message } = failureOf(() => checkClosureIndex(parseClosureIndex(other.bytes), smallDocument));
    expect(message).toMatch(/the index has \d+ images, the signed closure document 5/);
  });
});

describe("a closure manifest that is none of ours is refused:", () => {
  it.each<[string, (json: Json) => unknown, string]>([
    [
      "an index",
      () => Buffer.from(index.bytes),
      'has mediaType "application/vnd.oci.image.index.v1+json", wanted',
    ],
    ["an image", (json) => (json.artifactType = undefined), "has artifactType none, wanted is"],
    ["no layer", (json) => (json.layers = []), "layers: it has 0 members"],
    ["two layers", (json) => json.layers.push(json.layers[0]!), "layers: it has 2 members"],
    ["a layer of another kind", (json) => (json.layers[0]!.mediaType = artifact), "layers[0] has mediaType"],
    ["a malformed digest", (json) => (json.layers[0]!.digest = "x"), "layers[0].digest: "],
    ["a document beyond 4 MiB", (json) => (json.layers[0]!.size = 2 ** 30), "layers[0].size is not a number"],
    ["a config", (json) => (json.config.size = 3), "another form than its encoder gives it"],
    [
      "signatures that are no text",
      (json) => (json.annotations["org.nix-closure.signatures"] = 1),
      "is not a text",
    ],
    ["an annotation more", (json) => (json.annotations["x"] = "y"), "another form than its encoder gives it"],
    ["a subject", (json) => (json.subject = evil), "another form than its encoder gives it"],
  ])("%s", (_, change, reason) => {
    const { code, message } = failureOf(() => parseClosureManifest(changed(manifest.bytes, change)));
    expect(code).toBe("CLOSURE_INDEX_INVALID");
    expect(message).toContain(reason);
  });
});
