/** What somebody can do to a pushed closure who may write to the registry, and has no key. */
import { describe, expect, test } from "vitest";
import type { ClosureDocument } from "../../src/closure-index/closure-document.ts";
import { closureManifest } from "../../src/closure-index/closure-index.ts";
import { signClosure } from "../../src/closure-index/closure-signature.ts";
import { closureTag } from "../../src/closure-index/closure-tag.ts";
import type { NixClosureError } from "../../src/errors.ts";
import type { StorePath } from "../../src/nix/store-path.ts";
import { sha256Digest } from "../../src/oci/digest.ts";
import { type Document, encodeDocument, imageIndex, mediaTypes } from "../../src/oci/documents.ts";
import { createSigner } from "../nix/signer.ts";
import { signer } from "./fake-store.ts";
import { failureOf, resolverWith } from "./fixture.ts";
import {
  manifestOf,
  partsOf,
  push,
  pushedChain,
  type PushedParts,
  putParts,
  registrySource,
} from "./pushed.ts";
import { RegistryServer } from "./registry-server.ts";

const closure = pushedChain(4);
const [root] = closure.roots as [StorePath];
const parts = partsOf(closure);
const others = pushedChain(3, "other");
const [otherRoot] = others.roots as [StorePath];

/** What resolving fails with when these parts lie where the closure should. */
async function refusalOf(tampered: Partial<PushedParts>): Promise<NixClosureError & { readonly at: string }> {
  const server = await RegistryServer.start();
  putParts(server, { ...parts, ...tampered });
  const resolver = resolverWith([registrySource(server)]);
  const error = await failureOf(resolver.resolve("main", [root]));
  expect(resolver.known("main", [root])).toBeUndefined();
  expect(error.message).toContain(root);
  expect(error.message).toContain(server.repository);
  expect(error.temporary).toBe(false);
  return Object.assign(error, { at: server.repository });
}

/** Whatever a document holds. */
type Json = ReturnType<typeof JSON.parse>;

function edited(document: Document, edit: (json: Json) => void): Document {
  const json = JSON.parse(Buffer.from(document.bytes).toString());
  edit(json);
  return encodeDocument(document.mediaType, json);
}

/** The index, edited. */
const indexWith = (edit: (json: Json) => void): Partial<PushedParts> => ({
  index: edited(parts.index, edit),
});

/** An index that leads to another closure manifest. */
function indexTo(manifest: Document, index: Document = parts.index): Document {
  return edited(index, (json) => {
    const last = json["manifests"].at(-1);
    Object.assign(last, { digest: manifest.digest, size: manifest.bytes.length });
  });
}

/** Another document under the old signature; all digests are right. */
function documentWith(edit: (json: Json) => void): Partial<PushedParts> {
  const json = JSON.parse(Buffer.from(parts.document).toString());
  edit(json);
  const document = Buffer.from(JSON.stringify(json));
  const manifest = edited(parts.manifest, ({ layers }) => {
    Object.assign(layers[0], { digest: sha256Digest(document), size: document.length });
  });
  return { document, manifest, index: indexTo(manifest) };
}

describe("the index is refused", () => {
  test.for<[string, (json: Json) => void, string]>([
    [
      "with the digest of another image",
      (json) => (json["manifests"][2].digest = manifestOf("evil").digest),
      `entry 3 of the index has digest "${manifestOf("evil").digest}", wanted is "sha256:`,
    ],
    ["with another size", (json) => json["manifests"][0].size++, "entry 1 of the index.size: it is not"],
    [
      "with another platform",
      (json) => (json["manifests"][0].platform.architecture = "arm64"),
      'has architecture "arm64", wanted is "amd64"',
    ],
    [
      "with an annotation at an entry",
      (json) => (json["manifests"][0].annotations = { "org.opencontainers.image.ref.name": "x" }),
      "has something that the signed closure document does not account for",
    ],
    [
      "with an annotation more",
      (json) => (json["annotations"]["x"] = "y"),
      "has something that the signed closure document does not account for",
    ],
    [
      "without an entry",
      (json) => json["manifests"].splice(1, 1),
      "has 4 images, the signed closure document 5",
    ],
    [
      "with an entry more",
      (json) => json["manifests"].unshift(json["manifests"][0]),
      "has 6 images, the signed closure document 5",
    ],
    [
      "with entries in another order",
      (json) => json["manifests"].splice(0, 2, json["manifests"][1], json["manifests"][0]),
      "entry 1 of the index has digest",
    ],
    [
      "without a closure manifest",
      (json) => json["manifests"].pop(),
      "the last entry of the index has artifactType none",
    ],
    ["without annotations", (json) => delete json["annotations"], "the index.annotations is not an object"],
    [
      "of another kind",
      (json) => (json["artifactType"] = "application/x"),
      'the index has artifactType "application/x"',
    ],
    ["of no kind", (json) => delete json["artifactType"], "does not account for"],
    ["with a subject", (json) => (json["subject"] = json["manifests"][0]), "does not account for"],
    [
      "with more than three roots",
      (json) =>
        (json["annotations"]["org.nix-closure.roots"] = Array.from({ length: 4 }, () => root).join(" ")),
      "at most 3 are allowed",
    ],
  ])("%s", async ([, edit, why]) => {
    const error = await refusalOf(indexWith(edit));
    expect(error.code).toBe("CLOSURE_INDEX_INVALID");
    expect(error.message).toContain(why);
    expect(error.message).toContain("push it again");
  });

  test("with the roots of another closure", async () => {
    const error = await refusalOf(
      indexWith((json) => (json["annotations"]["org.nix-closure.roots"] = otherRoot)),
    );
    expect(error.code).toBe("CLOSURE_ROOTS_DIFFER");
    expect(error.message).toContain(`has the closure of ${otherRoot} where that of ${root} should be`);
  });

  test("with another name for the root", async () => {
    const error = await refusalOf(
      indexWith((json) => (json["annotations"]["org.nix-closure.roots"] = `${root}-x`)),
    );
    expect(error.code).toBe("CLOSURE_INDEX_INVALID");
  });

  test("with another system", async () => {
    const error = await refusalOf(
      indexWith((json) => (json["annotations"]["org.nix-closure.system"] = "aarch64-linux")),
    );
    expect(error.code).toBe("CLOSURE_UNTRUSTED");
    expect(error.message).toContain("its signature by test-1 is wrong");
  });

  test.for<[string, Uint8Array]>([
    ["that is no JSON", Buffer.from("<html>")],
    ["that is no object", Buffer.from("[]")],
    ["that is no UTF-8", Buffer.from([0x7b, 0xff, 0x7d])],
    ["that is empty", new Uint8Array()],
  ])("%s", async ([, bytes]) => {
    const index = { mediaType: mediaTypes.index, bytes, digest: sha256Digest(bytes) };
    expect((await refusalOf({ index })).code).toBe("CLOSURE_INDEX_INVALID");
  });

  test("that is an image of something else", async () => {
    const index = imageIndex({ manifests: [{ document: parts.manifest, architecture: "amd64" }] });
    expect((await refusalOf({ index })).message).toContain("the index has artifactType none");
    const error = await refusalOf({ index: parts.manifest });
    expect(error.message).toContain('has mediaType "application/vnd.oci.image.manifest.v1+json"');
  });
});

describe("a tag that leads to another closure is refused", () => {
  const other = partsOf(others);

  test("as it is", async () => {
    const error = await refusalOf({ ...other, tag: parts.tag });
    expect(error.code).toBe("CLOSURE_ROOTS_DIFFER");
    expect(error.message).toBe(
      `${error.at} has the closure of ${otherRoot} where that of ${root} should be; check the path's name, or push the closure again`,
    );
  });

  test("under the name of this one", async () => {
    const index = edited(other.index, (json) => (json["annotations"]["org.nix-closure.roots"] = root));
    const error = await refusalOf({ ...other, index, tag: parts.tag });
    expect(error.code).toBe("CLOSURE_UNTRUSTED");
    expect(error.message).toContain("its signature by test-1 is wrong");
  });

  test("though its key has signed it", async () => {
    const statement = {
      tag: parts.tag,
      system: closure.system,
      document: sha256Digest(other.document),
    };
    const manifest = closureManifest({
      document: { digest: statement.document, size: other.document.length },
      signatures: [signClosure(signer.secretKey, statement)],
    });
    const named = edited(other.index, (json) => (json["annotations"]["org.nix-closure.roots"] = root));
    const error = await refusalOf({
      tag: parts.tag,
      index: indexTo(manifest, named),
      manifest,
      document: other.document,
    });
    expect(error.code).toBe("CLOSURE_ROOTS_DIFFER");
  });

  test("of more roots than it has", async () => {
    const server = await RegistryServer.start();
    const both = [root, otherRoot];
    putParts(server, { ...parts, tag: closureTag(both) });
    const error = await failureOf(resolverWith([registrySource(server)]).resolve("main", both));
    expect(error.code).toBe("CLOSURE_ROOTS_DIFFER");
  });
});

describe("the closure document is refused", () => {
  test.for<[string, (json: Json) => void]>([
    [
      "with the digest of another image",
      (json) => (json["paths"][0].manifest.digest = manifestOf("evil").digest),
    ],
    ["with another root", (json) => (json["roots"] = [1])],
    [
      "with another store image",
      (json) => (json["storeImages"][0].manifest.digest = manifestOf("evil").digest),
    ],
    ["with another NarHash", (json) => (json["paths"][0].narHash = json["paths"][1].narHash)],
    ["with another system", (json) => (json["system"] = "aarch64-linux")],
    ["with nothing", (json) => Object.keys(json).forEach((key) => delete json[key])],
  ])("%s: nobody has signed that", async ([, edit]) => {
    const error = await refusalOf(documentWith(edit));
    expect(error.code).toBe("CLOSURE_UNTRUSTED");
    expect(error.message).toBe(
      `the closure of ${root} in ${error.at} has no valid signature by a trusted key (its signature by test-1 is wrong; trusted: test-1); push it again with --sign-key, or add its public key to the source`,
    );
  });

  test("with other bytes than its digest stands for", async () => {
    const server = await RegistryServer.start();
    putParts(server, parts);
    server.blobs.set(sha256Digest(parts.document), partsOf(others).document);
    const error = await failureOf(resolverWith([registrySource(server)]).resolve("main", [root]));
    expect(error.code).toBe("REGISTRY_INVALID_ANSWER");
    expect(error.message).toContain(root);
  });

  test("in a form that the encoder does not give it, though it is signed", async () => {
    const document = Buffer.concat([parts.document, Buffer.from("\n")]);
    const statement = { tag: parts.tag, system: closure.system, document: sha256Digest(document) };
    const manifest = closureManifest({
      document: { digest: statement.document, size: document.length },
      signatures: [signClosure(signer.secretKey, statement)],
    });
    const error = await refusalOf({ document, manifest, index: indexTo(manifest) });
    expect(error.code).toBe("CLOSURE_INDEX_INVALID");
    expect(error.message).toContain("the closure document has another form");
  });
});

describe("the closure manifest is refused", () => {
  const manifestWith = (edit: (json: Json) => void): Partial<PushedParts> => {
    const manifest = edited(parts.manifest, edit);
    return { manifest, index: indexTo(manifest) };
  };
  const signedBy = (...keys: readonly ReturnType<typeof createSigner>[]): Partial<PushedParts> =>
    partsOf(closure, keys);

  test.for<[string, Partial<PushedParts>, string]>([
    ["without a signature", signedBy(), "it has no signature"],
    ["with a signature by another key", signedBy(createSigner("evil-1")), "it is signed by evil-1"],
    [
      "with a signature by another key of the same name",
      signedBy(createSigner("test-1", "another")),
      "its signature by test-1 is wrong",
    ],
    [
      "with the signature of another closure",
      manifestWith((json) => {
        const other = JSON.parse(Buffer.from(partsOf(others).manifest.bytes).toString());
        json["annotations"] = other["annotations"];
      }),
      "its signature by test-1 is wrong",
    ],
    [
      "with signatures that are none",
      manifestWith((json) => (json["annotations"]["org.nix-closure.signatures"] = "x y:z")),
      "it has no signature",
    ],
    [
      "with hundreds of signatures",
      manifestWith(
        (json) =>
          (json["annotations"]["org.nix-closure.signatures"] = Array.from(
            { length: 500 },
            (_, index) => `key-${index}:${Buffer.alloc(64, index).toString("base64")}`,
          ).join(" ")),
      ),
      "it is signed by key-0, key-1, key-2, key-3, key-4, and 59 more",
    ],
  ])("%s", async ([, tampered, found]) => {
    const error = await refusalOf(tampered);
    expect(error.code).toBe("CLOSURE_UNTRUSTED");
    expect(error.message).toContain(`(${found}; trusted: test-1)`);
  });

  test.for<[string, (json: Json) => void]>([
    ["with another kind", (json) => (json["artifactType"] = "application/x")],
    ["with two layers", (json) => json["layers"].push(json["layers"][0])],
    ["without a layer", (json) => (json["layers"] = [])],
    ["with another config", (json) => (json["config"].size = 3)],
    ["with an annotation more", (json) => (json["annotations"]["x"] = "y")],
    [
      "with megabytes of signatures",
      (json) => (json["annotations"]["org.nix-closure.signatures"] = "x ".repeat(2 ** 20)),
    ],
    ["with a document of gigabytes", (json) => (json["layers"][0].size = 2 ** 31)],
  ])("%s", async ([, edit]) => {
    expect((await refusalOf(manifestWith(edit))).code).toBe("CLOSURE_INDEX_INVALID");
  });

  test.for<[string, number, string]>([
    ["less", -1, "REGISTRY_INVALID_ANSWER"],
    ["more", 1, "CLOSURE_INDEX_INVALID"],
  ])("when the index says that it has %s bytes than it has", async ([, difference, code]) => {
    const error = await refusalOf(indexWith((json) => (json["manifests"].at(-1).size += difference)));
    expect(error.code).toBe(code);
  });

  test("when it says that its document has more bytes than it has", async () => {
    expect((await refusalOf(manifestWith((json) => json["layers"][0].size++))).message).toContain(
      `its closure document has ${parts.document.length} bytes, it is said to have ${parts.document.length + 1}`,
    );
  });
});

test("nothing of an unsigned closure is read beyond its manifest", async () => {
  const server = await RegistryServer.start();
  push(server, closure, [createSigner("evil-1")]);
  await failureOf(resolverWith([registrySource(server)]).resolve("main", [root]));
  expect(server.requests).toHaveLength(2);
});

test("one of several signatures is enough, by one of several keys", async () => {
  const server = await RegistryServer.start();
  push(server, closure, [createSigner("evil-1"), createSigner("test-1", "another"), signer]);
  const publicKeys = [createSigner("unused-1").publicKey, signer.publicKey];
  const resolver = resolverWith([registrySource(server, { publicKeys })]);
  expect((await resolver.resolve("main", [root])).paths).toHaveLength(4);
});

test("one source's trust never serves another", async () => {
  const server = await RegistryServer.start();
  push(server, closure);
  const resolver = resolverWith([
    registrySource(server),
    { name: "strict", registry: server.repository, publicKeys: [createSigner("strict-1").publicKey] },
  ]);
  await resolver.resolve("main", [root]);
  expect(resolver.known("strict", [root])).toBeUndefined();
  expect((await failureOf(resolver.resolve("strict", [root]))).code).toBe("CLOSURE_UNTRUSTED");
});

describe("what is missing is named", () => {
  test("the closure manifest", async () => {
    const server = await RegistryServer.start();
    push(server, closure);
    server.manifests.delete(parts.manifest.digest);
    const error = await failureOf(resolverWith([registrySource(server)]).resolve("main", [root]));
    expect(error.code).toBe("CLOSURE_INCOMPLETE");
    expect(error.message).toBe(
      `${server.repository} has the index of the closure of ${root}, but not its closure manifest ${parts.manifest.digest}; push it again, or copy it there again as a whole`,
    );
  });

  test("the closure document", async () => {
    const server = await RegistryServer.start();
    push(server, closure);
    server.blobs.delete(sha256Digest(parts.document));
    const error = await failureOf(resolverWith([registrySource(server)]).resolve("main", [root]));
    expect(error.code).toBe("CLOSURE_INCOMPLETE");
    expect(error.message).toContain(`not its closure document ${sha256Digest(parts.document)}`);
  });
});

// Keeps the type of the fixture honest: what is tampered with is what is pushed.
test("as it was pushed it is taken", async () => {
  const server = await RegistryServer.start();
  putParts(server, parts);
  const resolved = await resolverWith([registrySource(server)]).resolve("main", [root]);
  expect(resolved.paths).toEqual((closure satisfies ClosureDocument).paths);
});
