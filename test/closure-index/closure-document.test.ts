import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  type ClosureDocument,
  decodeClosureDocument,
  encodeClosureDocument,
  maxManifestBytes,
} from "../../src/closure-index/closure-document.ts";
import type { StorePath } from "../../src/nix/store-path.ts";
import { sha256Digest } from "../../src/oci/digest.ts";
import { failureOf } from "../nix/failure.ts";
import { madePath } from "../patch/closures.ts";
import { demoDocument, largeDocument, manifestOf, smallDocument } from "./documents.ts";

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

describe("the bytes of a document, which a signature covers", () => {
  it("are fixed", () => {
    const manifest = (of: string): string => JSON.stringify(manifestOf(`/nix/store/${of}`));
    const [app, config, library, tool] = ["0-app", "1-config", "2-library", "3-tool"].map(
      (name) => "0".repeat(31) + name,
    ) as [string, string, string, string];
    const signatures = `["cache-1:${"AQEB".repeat(21)}AQ=="]`;
    expect(text(encodeClosureDocument(smallDocument))).toBe(
      '{"version":1,"system":"x86_64-linux","roots":[0,3],"paths":[' +
        `{"path":"${app}","narHash":"sha256:0brg5wpjybrg5wpjybrg5wpjybrg5wpjybrg5wpjybrg5wpjybrg","narSize":1000,"references":[0,1,2],"signatures":${signatures},"type":"directory","manifest":${manifest(app)}},` +
        `{"path":"${config}","narHash":"sha256:0cij68r34cij68r34cij68r34cij68r34cij68r34cij68r34cij","narSize":1000,"references":[],"signatures":[],"ca":"text:sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03","type":"regular"},` +
        `{"path":"${library}","narHash":"sha256:0crk6crk6crk6crk6crk6crk6crk6crk6crk6crk6crk6crk6crk","narSize":1000,"references":[2],"signatures":${signatures},"type":"directory","manifest":${manifest(library)}},` +
        `{"path":"${tool}","narHash":"sha256:0c1h60q30c1h60q30c1h60q30c1h60q30c1h60q30c1h60q30c1h","narSize":1000,"references":[2],"signatures":${signatures},"type":"directory","manifest":${manifest(tool)}}` +
        `],"storeImages":[{"own":[0],"manifest":${JSON.stringify(manifestOf("app apart"))}},{"own":[0,3],"manifest":${JSON.stringify(manifestOf("roots apart"))}}]}`,
    );
  });

  it("are those that they were when the version came, for a real closure", () => {
    const bytes = encodeClosureDocument(demoDocument("nginx-app-1.0", "hello-app"));
    expect(sha256Digest(bytes)).toBe(
      "sha256:7a07a61671bfcf6db8b83b6d207ca992f953a2505ec20694cbb7510f1c9e0227",
    );
  });

  it("do not depend on the order in which anything is given, nor on repetitions", () => {
    const { paths, roots, storeImages } = smallDocument;
    const other: ClosureDocument = {
      ...smallDocument,
      roots: [...roots, ...roots].toReversed(),
      paths: paths
        .map((path) => ({ ...path, references: [...path.references, ...path.references].toReversed() }))
        .toReversed(),
      storeImages: storeImages.map((image) => ({ ...image, own: image.own.toReversed() })).toReversed(),
    };
    expect(text(encodeClosureDocument(other))).toBe(text(encodeClosureDocument(smallDocument)));
  });

  it("hold 16 signatures of a path at most, the same ones in whatever order they come", () => {
    const [root] = demoDocument("hello-app").paths;
    const signatures = Array.from({ length: 40 }, (_, number) => ({
      keyName: `key-${number}`,
      bytes: new Uint8Array(64),
    }));
    const encode = (all: typeof signatures): Uint8Array =>
      encodeClosureDocument({
        system: "x86_64-linux",
        roots: [root!.storePath],
        paths: [{ ...root!, references: [], signatures: all }],
        storeImages: [],
      });
    const bytes = encode(signatures);
    expect(decodeClosureDocument(bytes).paths[0]!.signatures).toHaveLength(16);
    expect(text(encode(signatures.toReversed()))).toBe(text(bytes));
  });
});

describe("a document", () => {
  it("is read back as it was", () => {
    expect(decodeClosureDocument(encodeClosureDocument(smallDocument))).toEqual(smallDocument);
    for (const name of ["hello-app", "nginx-app-1.0", "mixed-app-1.0"]) {
      const document = demoDocument(name);
      expect(decodeClosureDocument(encodeClosureDocument(document))).toEqual(document);
    }
  });

  it("of 2000 paths stays small, and is read in the time of an admission", () => {
    const bytes = encodeClosureDocument(largeDocument(2000, 40));
    expect(bytes.length).toBeLessThan(2 * 1024 * 1024);
    const started = process.cpuUsage();
    decodeClosureDocument(bytes);
    const { user, system } = process.cpuUsage(started);
    // It takes some 40 ms.
    expect((user + system) / 1000).toBeLessThan(500);
  });

  it("that no registry would take is refused by the encoder, with its size", () => {
    expect(encodeClosureDocument(largeDocument(3844, 1)).length).toBeLessThan(maxManifestBytes);
    expect(failureOf(() => encodeClosureDocument(largeDocument(3845, 1)))).toMatchObject({
      code: "PUSHED_CLOSURE_TOO_LARGE",
      message: expect.stringContaining("3845 paths"),
    });
    expect(failureOf(() => encodeClosureDocument(largeDocument(3000, 400))).code).toBe(
      "PUSHED_CLOSURE_TOO_LARGE",
    );
  });

  it("that the decoder would refuse is a bug of whoever made it", () => {
    const missing = { ...smallDocument, roots: [madePath(9, "missing")] };
    expect(failureOf(() => encodeClosureDocument(missing)).code).toBe("INTERNAL");
  });
});

/** A document's JSON, which can be made wrong in every way; what is undefined is left out. */
interface DocumentJson {
  version: unknown;
  system: unknown;
  roots: unknown;
  get paths(): PathJson[];
  set paths(value: unknown);
  get storeImages(): ImageJson[];
  set storeImages(value: unknown);
  note?: unknown;
}
interface PathJson {
  get path(): string;
  set path(value: unknown);
  narHash: unknown;
  narSize: unknown;
  get references(): unknown[];
  set references(value: unknown);
  get signatures(): string[];
  set signatures(value: unknown);
  ca: unknown;
  type: unknown;
  get manifest(): { digest: unknown; size: unknown };
  set manifest(value: unknown);
  note?: unknown;
}
interface ImageJson {
  get own(): unknown[];
  set own(value: unknown);
  manifest: unknown;
}

/** The error for the small document after a change of its JSON, or for the bytes that are there in its place. */
function refusalOf(change: (json: DocumentJson) => unknown): string {
  const json = JSON.parse(text(encodeClosureDocument(smallDocument))) as DocumentJson;
  const changed = change(json);
  const bytes = Buffer.isBuffer(changed) ? changed : Buffer.from(JSON.stringify(json));
  const { code, message } = failureOf(() => decodeClosureDocument(bytes));
  expect(code).toBe("CLOSURE_INDEX_INVALID");
  return message;
}

const digest = `sha256:${"0".repeat(64)}`;

describe("the decoder refuses", () => {
  it.each<[string, (json: DocumentJson) => unknown, string]>([
    ["nothing", () => Buffer.from(""), "the closure document is not JSON"],
    ["a list", () => Buffer.from("[]"), "the closure document is not an object"],
    ["null", () => Buffer.from("null"), "the closure document is not an object"],
    [
      "what is cut off",
      (json) => Buffer.from(JSON.stringify(json).slice(0, -1)),
      "the closure document is not JSON",
    ],
    [
      "a byte order mark",
      (json) => Buffer.from(`\ufeff${JSON.stringify(json)}`),
      "the closure document is not JSON",
    ],
    ["deep nesting", () => Buffer.from("[".repeat(100_000)), "the closure document is not JSON"],
    [
      "deep objects",
      () => Buffer.from(`${'{"a":'.repeat(9999)}1${"}".repeat(9999)}`),
      "a version that is not 1",
    ],
    ["another version", (json) => (json.version = 2), "a version that is not 1"],
    ["a version in quotes", (json) => (json.version = "1"), "a version that is not 1"],
    ["another system", (json) => (json.system = "x86_64-darwin"), "system: it is no system"],
    ["a system out of a prototype", (json) => (json.system = "toString"), "system: it is no system"],
    ["no roots", (json) => (json.roots = []), "roots: it has 0 members, 1 to 4 are allowed"],
    ["four roots", (json) => (json.roots = [0, 1, 2, 3]), "roots: at most 3 are allowed"],
    ["a root twice", (json) => (json.roots = [0, 0]), "roots: it is not a list of ascending positions"],
    ["roots in disorder", (json) => (json.roots = [3, 0]), "roots: it is not a list of ascending"],
    ["a root outside", (json) => (json.roots = [0, 4]), "roots: it is not a list of ascending"],
    ["a root that is no position", (json) => (json.roots = ["0"]), "roots: it is not a list of ascending"],
    ["a root that is half a position", (json) => (json.roots = [0.5]), "roots: it is not a list of"],
    ["a path that nothing needs", (json) => (json.roots = [0]), "no root needs /nix/store/0000"],
    ["no paths", (json) => (json.paths = []), "paths: it has 0 members"],
    ["paths that are none", (json) => (json.paths = {}), "paths is not a list"],
    ["paths that are missing", (json) => (json.paths = undefined), "has no paths"],
    ["a path that is none", (json) => (json.paths[1] = null as never), "paths[1] is not an object"],
    ["a path without a name", (json) => (json.paths[1]!.path = undefined), "paths[1] has no path"],
    ["a whole store path", (json) => (json.paths[1]!.path = `/nix/store/x`), "paths[1].path: "],
    ["a name with a step up", (json) => (json.paths[1]!.path = "../etc"), "paths[1].path: "],
    [
      "paths in disorder",
      (json) => (json.paths = json.paths.toReversed()),
      "paths[1].path: it is not in ascending order",
    ],
    ["a path twice", (json) => (json.paths[1] = json.paths[0]!), "paths[1].path: it is not in ascending"],
    [
      "two names of one hash",
      (json) => (json.paths[1]!.path = `${json.paths[0]!.path}2`),
      "paths[1].path: it is not in ascending order",
    ],
    ["another hash", (json) => (json.paths[0]!.narHash = `sha1:${"0".repeat(32)}`), "paths[0].narHash: "],
    [
      "another spelling of a hash",
      (json) => (json.paths[0]!.narHash = digest),
      "paths[0].narHash: it is not sha256: and 52 digits",
    ],
    ["an empty NAR", (json) => (json.paths[0]!.narSize = 0), "paths[0].narSize is not a number from 1"],
    ["a NAR beyond counting", (json) => (json.paths[0]!.narSize = 2 ** 53), "paths[0].narSize is not"],
    ["half a byte", (json) => (json.paths[0]!.narSize = 0.5), "paths[0].narSize is not a number"],
    ["no references", (json) => (json.paths[0]!.references = undefined), "paths[0] has no references"],
    ["a reference outside", (json) => (json.paths[0]!.references = [4]), "paths[0].references: it is not"],
    [
      "references in disorder",
      (json) => (json.paths[0]!.references = json.paths[0]!.references.toReversed()),
      "paths[0].references: it",
    ],
    ["a malformed signature", (json) => (json.paths[0]!.signatures = ["a"]), "paths[0].signatures: one is"],
    ["a signature that is none", (json) => (json.paths[0]!.signatures = [1]), "paths[0].signatures: one is"],
    [
      "too many signatures",
      (json) => (json.paths[0]!.signatures = Array(17).fill(json.paths[0]!.signatures[0])),
      "paths[0].signatures: it has 17 members",
    ],
    ["a malformed content address", (json) => (json.paths[1]!.ca = "text"), "paths[1].ca: "],
    ["a type that is none", (json) => (json.paths[1]!.type = "fifo"), "paths[1].type: it is none of"],
    [
      "a directory without an image",
      (json) => (json.paths[0]!.manifest = undefined),
      "paths[0].manifest: a directory has one",
    ],
    [
      "a file with an image",
      (json) => (json.paths[1]!.manifest = { digest, size: 1 }),
      "paths[1].manifest: a directory has one, and nothing else has",
    ],
    [
      "a digest of another kind",
      (json) => (json.paths[0]!.manifest.digest = "sha512:00"),
      "manifest.digest: ",
    ],
    [
      "a digest in capitals",
      (json) => (json.paths[0]!.manifest.digest = `sha256:${"A".repeat(64)}`),
      "digest: ",
    ],
    ["a manifest of no bytes", (json) => (json.paths[0]!.manifest.size = 0), "manifest.size is not a number"],
    ["a manifest beyond 4 MiB", (json) => (json.paths[0]!.manifest.size = 2 ** 23), "manifest.size is not"],
    ["no list of store images", (json) => (json.storeImages = undefined), "has no storeImages"],
    [
      "a volume for a file",
      (json) => (json.storeImages[0]!.own = [1]),
      "storeImages[0].own: only directories have volumes of their own",
    ],
    [
      "volumes in disorder",
      (json) => (json.storeImages[1]!.own = json.storeImages[1]!.own.toReversed()),
      "storeImages[1].own: it is not a",
    ],
    [
      "store images in disorder",
      (json) => (json.storeImages = json.storeImages.toReversed()),
      "store images are not in ascending",
    ],
    [
      "two store images for the same volumes",
      (json) => (json.storeImages[1]!.own = [0]),
      "storeImages[1].own: store images are not in ascending order",
    ],
    [
      "a store image without a manifest",
      (json) => (json.storeImages[0]!.manifest = undefined),
      "is not an object",
    ],
    [
      "white space",
      (json) => Buffer.from(JSON.stringify(json, null, 1)),
      "another form than its encoder gives it, from byte 1",
    ],
    ["a member more", (json) => (json.note = "x"), "another form than its encoder gives it"],
    ["a member more of a path", (json) => (json.paths[0]!.note = "x"), "another form than its encoder"],
    [
      "members in another order",
      ({ version, ...rest }) => Buffer.from(JSON.stringify({ ...rest, version })),
      "another form",
    ],
    [
      "a member twice",
      (json) => Buffer.from(JSON.stringify(json).replace("{", '{"version":1,')),
      "another form than its",
    ],
    [
      "a number in another spelling",
      (json) => Buffer.from(JSON.stringify(json).replace(":1000", ":1e3")),
      "another form",
    ],
    [
      "minus zero",
      (json) => Buffer.from(JSON.stringify(json).replace("[0,3]", "[-0,3]")),
      "another form than its encoder",
    ],
    [
      "signatures in disorder",
      (json) => json.paths[0]!.signatures.unshift(`z:${"A".repeat(86)}==`),
      "another form",
    ],
    [
      "a signature without padding",
      (json) => (json.paths[0]!.signatures = [json.paths[0]!.signatures[0]!.replace("==", "")]),
      "another form than its encoder gives it",
    ],
  ])("%s", (_, change, reason) => {
    expect(refusalOf(change)).toContain(reason);
  });

  it("bytes that are not UTF-8", () => {
    const bytes = Buffer.from(encodeClosureDocument(smallDocument));
    bytes[bytes.indexOf("app")] = 0xff;
    expect(failureOf(() => decodeClosureDocument(bytes)).message).toContain("is not JSON");
  });

  it("more than 4 MiB, before it reads them", () => {
    const started = process.cpuUsage();
    expect(failureOf(() => decodeClosureDocument(Buffer.alloc(2 ** 28, "["))).message).toContain(
      "at most 4194304",
    );
    expect(process.cpuUsage(started).user / 1000).toBeLessThan(100);
  });
});

it("every closure has one document", () => {
  const graph = fc.integer({ min: 1, max: 12 }).chain((count) =>
    fc.record({
      edges: fc.array(fc.array(fc.nat(count - 1), { maxLength: 4 }), { minLength: count, maxLength: count }),
      types: fc.array(fc.constantFrom("directory", "regular", "symlink" as const), {
        minLength: count,
        maxLength: count,
      }),
      roots: fc.array(fc.nat(count - 1), { minLength: 1, maxLength: 3 }),
    }),
  );
  fc.assert(
    fc.property(graph, ({ edges, types, roots }) => {
      const names = edges.map((_, position) => madePath(position, "x"));
      const at = (positions: readonly number[]): readonly StorePath[] =>
        [...new Set(positions)].toSorted((a, b) => a - b).map((position) => names[position]!);
      const reached = new Set(roots);
      for (const position of reached) for (const next of edges[position]!) reached.add(next);
      const paths = smallDocument.paths[0]!;
      const document: ClosureDocument = {
        system: "aarch64-linux",
        roots: at(roots),
        paths: [...reached]
          .toSorted((a, b) => a - b)
          .map((position) => {
            const { manifest, ...path } = paths;
            const type = types[position]!;
            const common = { ...path, storePath: names[position]!, references: at(edges[position]!), type };
            return type === "directory" ? { ...common, manifest: manifest! } : common;
          }),
        storeImages: [],
      };
      const bytes = encodeClosureDocument(document);
      expect(decodeClosureDocument(bytes)).toEqual(document);
    }),
  );
});
