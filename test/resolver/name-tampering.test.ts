/** What somebody can do to a name who may write to the registry, and has no key. */
import { describe, expect, test } from "vitest";
import { parseClosureName } from "../../src/closure-index/closure-name.ts";
import { signClosure } from "../../src/closure-index/closure-signature.ts";
import { nameManifest, parseNameManifest } from "../../src/closure-index/name-index.ts";
import type { NixClosureError } from "../../src/errors.ts";
import { sha256Digest } from "../../src/oci/digest.ts";
import { describe as describeDocument, type Document, encodeDocument } from "../../src/oci/documents.ts";
import { createSigner } from "../nix/signer.ts";
import { signer } from "./fake-store.ts";
import { failureOf, resolverWith } from "./fixture.ts";
import { appOf, namePartsOf, type NameParts, putName } from "./named.ts";
import { manifestOf, partsOf, registrySource } from "./pushed.ts";
import { RegistryServer } from "./registry-server.ts";

const web = parseClosureName("web-1.2");
const parts = namePartsOf(web, appOf("1"));
const others = namePartsOf("other", appOf("2"));
const older = namePartsOf(web, appOf("0"));

/** What the name is refused with when these parts lie where it should be. */
async function refusalOf(tampered: Partial<NameParts>): Promise<NixClosureError & { readonly at: string }> {
  const server = await RegistryServer.start();
  putName(server, { ...parts, ...tampered });
  const resolver = resolverWith([registrySource(server)]);
  const error = await failureOf(resolver.named("main", web));
  expect(resolver.knownName("main", web)).toBeUndefined();
  expect(error.message).toContain(web);
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

const indexWith = (edit: (json: Json) => void): Partial<NameParts> => ({ index: edited(parts.index, edit) });

/** An index that leads to another manifest. */
function indexTo(manifest: Document, index: Document = parts.index): Document {
  const { digest, size } = describeDocument(manifest);
  return edited(index, (json) => Object.assign(json["manifests"].at(-1), { digest, size }));
}

/** Another document, signed by these keys, with an index that leads to it; all digests are right. */
function documentWith(edit: (json: Json) => void, signatures?: readonly string[]): Partial<NameParts> {
  const json = JSON.parse(Buffer.from(parts.document).toString());
  edit(json);
  const document = Buffer.from(JSON.stringify(json));
  const before = parseNameManifest(parts.manifest.bytes);
  const descriptor = { digest: sha256Digest(document), size: document.length };
  const manifest = nameManifest({
    ...before,
    document: descriptor,
    signatures: signatures ?? before.signatures,
  });
  return { document, manifest, index: indexTo(manifest) };
}

/** The same, signed with the source's key: by somebody who makes documents of another form. */
function signedWith(edit: (json: Json) => void): Partial<NameParts> {
  const { document } = documentWith(edit);
  const statement = { name: web, document: sha256Digest(document!) };
  return documentWith(edit, [signClosure(signer.secretKey, statement)]);
}

describe("the index of a name is refused", () => {
  test.for<[string, (json: Json) => void, string]>([
    [
      "with the digest of another image",
      (json) => (json["manifests"][0].digest = manifestOf("evil").digest),
      `entry 1 of the index has digest "${manifestOf("evil").digest}", wanted is "sha256:`,
    ],
    ["with another size", (json) => json["manifests"][2].size++, "entry 3 of the index.size: it is not"],
    [
      "with swapped systems",
      (json) => {
        const [arm, intel] = json["manifests"];
        [arm.platform, intel.platform] = [intel.platform, arm.platform];
      },
      'entry 1 of the index.platform has architecture "amd64", wanted is "arm64"',
    ],
    [
      "with entries in another order",
      (json) => json["manifests"].splice(0, 2, json["manifests"][1], json["manifests"][0]),
      "entry 1 of the index has digest",
    ],
    [
      "without an entry",
      (json) => json["manifests"].splice(1, 1),
      "has 3 images, the signed name document 4",
    ],
    [
      "with an entry more",
      (json) => json["manifests"].unshift(json["manifests"][0]),
      "the index.manifests: it has 6 members, 1 to 5 are allowed",
    ],
    [
      "with an image in place of another",
      (json) => (json["manifests"][3] = json["manifests"][1]),
      "entry 4 of the index has digest",
    ],
    [
      "with other systems",
      (json) => (json["annotations"]["org.nix-closure.systems"] = "x86_64-linux"),
      'has org.nix-closure.systems "x86_64-linux", wanted is "aarch64-linux x86_64-linux"',
    ],
    ["with an annotation more", (json) => (json["annotations"]["x"] = "y"), "does not account for"],
    ["with a subject", (json) => (json["subject"] = json["manifests"][0]), "does not account for"],
    ["without annotations", (json) => delete json["annotations"], "the index.annotations is not an object"],
    [
      "without the name's manifest",
      (json) => json["manifests"].pop(),
      "the last entry of the index has artifactType none",
    ],
    [
      "of another kind",
      (json) => (json["artifactType"] = "application/x"),
      'the index has artifactType "application/x"',
    ],
    ["of no kind", (json) => delete json["artifactType"], "does not account for"],
    [
      "with a name that is none",
      (json) => (json["annotations"]["org.nix-closure.name"] = "0".repeat(32)),
      "begins like the hash of a store path",
    ],
  ])("%s", async ([, edit, why]) => {
    const error = await refusalOf(indexWith(edit));
    expect(error.code).toBe("CLOSURE_INDEX_INVALID");
    expect(error.message).toContain(why);
    expect(error.message).toContain("push it again");
  });

  test("that is a closure's", async () => {
    const closure = partsOf(appOf("1")[0]!);
    const error = await refusalOf({ index: closure.index });
    expect(error.message).toContain(
      'has artifactType "application/vnd.nix-closure.closure.v1", wanted is "application/vnd.nix-closure.name.v1"',
    );
  });
});

describe("a tag that leads to another name is refused", () => {
  test("as it is", async () => {
    const error = await refusalOf({ ...others, name: web });
    expect(error.code).toBe("NAME_DIFFERS");
    expect(error.message).toContain('has the name "other" where "web-1.2" should be');
  });

  test("under this one's name", async () => {
    const index = edited(others.index, (json) => (json["annotations"]["org.nix-closure.name"] = web));
    const error = await refusalOf({ ...others, name: web, index });
    expect(error.code).toBe("CLOSURE_UNTRUSTED");
    expect(error.message).toContain("its signature by test-1 is wrong");
  });

  test("though its key has signed it", async () => {
    const { document, closures } = others;
    const before = parseNameManifest(others.manifest.bytes);
    const signatures = [signClosure(signer.secretKey, { name: web, document: sha256Digest(document) })];
    const manifest = nameManifest({ ...before, signatures });
    const index = edited(indexTo(manifest, others.index), (json) => {
      json["annotations"]["org.nix-closure.name"] = web;
    });
    const error = await refusalOf({ document, closures, manifest, index });
    expect(error.code).toBe("NAME_DIFFERS");
  });
});

describe("the document of a name is refused under the old signature", () => {
  test.for<[string, (json: Json) => void]>([
    ["with another store image", (json) => (json["closures"][0].store = manifestOf("evil"))],
    ["with another profile", (json) => (json["closures"][1].profile = manifestOf("evil"))],
    ["with another platform index", (json) => (json["store"] = manifestOf("evil"))],
    ["with another root", (json) => (json["closures"][0].root = json["closures"][1].root)],
    ["with another closure document", (json) => (json["closures"][0].document = manifestOf("evil"))],
    ["with another name", (json) => (json["name"] = "other")],
    [
      "with swapped systems",
      (json) => {
        const [arm, intel] = json["closures"];
        [arm.system, intel.system] = [intel.system, arm.system];
      },
    ],
    ["with a system less", (json) => json["closures"].pop()],
  ])("%s", async ([, edit]) => {
    const error = await refusalOf(documentWith(edit));
    expect(error.code).toBe("CLOSURE_UNTRUSTED");
    expect(error.message).toContain("its signature by test-1 is wrong");
  });
});

describe("a signed document that no push makes is refused", () => {
  test.for<[string, (json: Json) => void, string]>([
    ["of another version", (json) => (json["version"] = 2), "a version that is not 1"],
    ["without systems", (json) => (json["closures"] = []), "it has 0 members, 1 to 2 are allowed"],
    [
      "with systems in another order",
      (json) => (json["closures"] = json["closures"].toReversed()),
      "closures[1].system: they are not in ascending order, each once",
    ],
    [
      "with one system twice",
      (json) => (json["closures"][1].system = "aarch64-linux"),
      "they are not in ascending order, each once",
    ],
    [
      "with one root for both systems",
      (json) => (json["closures"][0].root = json["closures"][1].root),
      "has one root for several systems",
    ],
    [
      "with a profile for one system alone",
      (json) => delete json["closures"][0].profile,
      "has a profile for some systems, and none for others",
    ],
    [
      "with a platform index that does not follow from the images",
      (json) => (json["store"] = manifestOf("evil")),
      "has another form than its encoder gives it",
    ],
    [
      "with a profile that nothing follows from",
      (json) => delete json["profile"],
      "has another form than its encoder gives it",
    ],
    ["with a member more", (json) => (json["x"] = 1), "has another form than its encoder gives it"],
    [
      "for a system that is none",
      (json) => (json["closures"][0].system = "riscv64-linux"),
      "it is no system",
    ],
    ["without paths", (json) => (json["closures"][0].paths = 0), "closures[0].paths is not a number from 1"],
  ])("%s", async ([, edit, why]) => {
    const error = await refusalOf(signedWith(edit));
    expect(error.code).toBe("CLOSURE_INDEX_INVALID");
    expect(error.message).toContain(why);
  });

  test("whose index has the images of the one before", async () => {
    const { document, manifest, index } = namePartsOf(web, appOf("3"));
    const images = JSON.parse(Buffer.from(parts.index.bytes).toString()).manifests.slice(0, -1) as Json[];
    const mixed = edited(index, (json) => json["manifests"].splice(0, 4, ...images));
    const error = await refusalOf({ document, manifest, index: mixed });
    expect(error.code).toBe("CLOSURE_INDEX_INVALID");
    expect(error.message).toContain("entry 1 of the index has digest");
  });
});

describe("the manifest of a name is refused", () => {
  const signatureOf = (by: ReturnType<typeof createSigner>): string =>
    signClosure(by.secretKey, { name: web, document: sha256Digest(parts.document) });
  const before = parseNameManifest(parts.manifest.bytes);

  test.for<[string, readonly string[], string]>([
    ["without a signature", [], "it has no signature"],
    ["signed with another key", [signatureOf(createSigner("evil-1"))], "it is signed by evil-1"],
    [
      "signed with another key of the same name",
      [signatureOf(createSigner("test-1", "evil"))],
      "its signature by test-1 is wrong",
    ],
    [
      "with the signature of a closure",
      [
        signClosure(signer.secretKey, {
          tag: web,
          system: "x86_64-linux",
          document: sha256Digest(parts.document),
        }),
      ],
      "its signature by test-1 is wrong",
    ],
  ])("%s", async ([, signatures, why]) => {
    const manifest = nameManifest({ ...before, signatures });
    const error = await refusalOf({ manifest, index: indexTo(manifest) });
    expect(error.code).toBe("CLOSURE_UNTRUSTED");
    expect(error.message).toContain(why);
  });

  test.for<[string, (json: Json) => void, string]>([
    [
      "with other closure documents",
      (json) => json["layers"].splice(1, 2, json["layers"][2], json["layers"][1]),
      "has other closure documents than the signed name document",
    ],
    ["with a closure document less", (json) => json["layers"].pop(), "has other closure documents"],
    ["with a member more", (json) => (json["x"] = 1), "has another form than its encoder gives it"],
    ["of another kind", (json) => delete json["artifactType"], "the name's manifest has artifactType none"],
  ])("%s", async ([, edit, why]) => {
    const manifest = edited(parts.manifest, edit);
    const error = await refusalOf({ manifest, index: indexTo(manifest) });
    expect(error.code).toBe("CLOSURE_INDEX_INVALID");
    expect(error.message).toContain(why);
  });
});

test("an index that was copied by a program which does not know artifactType is believed", async () => {
  const server = await RegistryServer.start();
  const index = edited(parts.index, (json) => {
    delete json["artifactType"];
    delete json["manifests"].at(-1)["artifactType"];
  });
  putName(server, { ...parts, index });
  const { document } = await resolverWith([registrySource(server)]).named("main", web);
  expect(document.name).toBe(web);
});

test("what is missing is told", async () => {
  const server = await RegistryServer.start();
  putName(server, parts);
  server.manifests.delete(parts.manifest.digest);
  const resolver = resolverWith([registrySource(server)]);
  const error = await failureOf(resolver.named("main", web));
  expect(error.code).toBe("CLOSURE_INCOMPLETE");
});

test("an older index that was signed is believed: docs/threat-model.md says so", async () => {
  const server = await RegistryServer.start();
  putName(server, parts);
  putName(server, older);
  const { document } = await resolverWith([registrySource(server)]).named("main", web);
  expect(document.closures.map(({ root }) => root)).toEqual(appOf("0").flatMap(({ roots }) => roots));
});
