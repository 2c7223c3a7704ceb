import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { contentAddressedPath, parseContentAddress } from "../../src/nix/content-address.ts";
import { formatNarHash } from "../../src/nix/hash.ts";
import { encodeNix32 } from "../../src/nix/nix32.ts";
import { storeHash, type StorePath } from "../../src/nix/store-path.ts";
import { createSigner, type NarInfoFields } from "../nix/signer.ts";
import { writeNar } from "../nix/nar-writer.ts";
import { CacheServer } from "./cache-server.ts";
import { cacheFiles, narInfoOf, pathOf, signer, type FakePath } from "./fake-store.ts";
import { failureOf, resolverOf } from "./fixture.ts";

const path = pathOf("app");

async function serve(of: StorePath, options: FakePath): Promise<CacheServer> {
  return CacheServer.start(cacheFiles([[of, options]]));
}

describe("signatures", () => {
  const other = createSigner("other-1");
  const impostor = createSigner("test-1", "another seed");

  test.for<[string, FakePath, string]>([
    ["none", { signer: undefined }, "it has no signature"],
    ["one by an unknown key", { signer: other }, "it is signed by other-1"],
    ["one by another key of the same name", { signer: impostor }, "its signature by test-1 is wrong"],
    ["one over another NarSize", { fields: { narSize: 1 } }, "its signature by test-1 is wrong"],
    [
      "one over other references",
      { fields: { references: [pathOf("b")] } },
      "its signature by test-1 is wrong",
    ],
    [
      "many by unknown keys",
      { fields: { signatures: Array.from({ length: 7 }, (_, n) => `k-${n}:${"A".repeat(86)}==`) } },
      "it is signed by k-0, k-1, k-2, k-3, k-4, and 2 more",
    ],
  ])("%s: the path is not trusted, and the message says why", async ([, options, why]) => {
    const server = await serve(path, options);
    const error = await failureOf(resolverOf(server.url).resolve("main", [path]));
    expect(error.code).toBe("PATH_UNTRUSTED");
    expect(error.message).toContain(
      `${path} from ${server.url} has no valid signature by a trusted key (${why}; trusted: test-1)`,
    );
  });

  test("a key may share its name with another one", async () => {
    const server = await serve(path, {});
    const publicKeys = [impostor.publicKey, signer.publicKey];
    expect((await resolverOf(server.url, { publicKeys }).resolve("main", [path])).paths).toHaveLength(1);
  });

  test("what is signed in the next cache is taken from there", async () => {
    const [unsigned, signed] = [await serve(path, { signer: undefined }), await serve(path, {})];
    const resolver = resolverOf([unsigned.url, signed.url]);
    const [first, ...others] = await resolver.narLocations("main", path);
    expect(first?.cache).toBe(signed.url);
    expect(others).toEqual([]);
  });

  test("a source never takes what only another source's key has signed", async () => {
    const server = await serve(path, {});
    const resolver = resolverOf(server.url, { publicKeys: [other.publicKey] });
    expect((await failureOf(resolver.resolve("main", [path]))).code).toBe("PATH_UNTRUSTED");
  });
});

describe("the path asked for", () => {
  test("by its hash: the narinfo must be of that hash", async () => {
    const server = await CacheServer.start(
      new Map([[`${storeHash(path)}.narinfo`, narInfoOf(pathOf("impostor"))]]),
    );
    const error = await failureOf(resolverOf(server.url).lookup("main", storeHash(path)));
    expect(error.code).toBe("PATH_MISMATCH");
    expect(error.message).toContain(`answered for /nix/store/${storeHash(path)}-* with the narinfo of`);
    expect(error.message).toContain(pathOf("impostor"));
  });

  test("by its whole name: the name must be that of the narinfo", async () => {
    const server = await serve(path, {});
    const misspelt = path.replace("-app", "-apt") as StorePath;
    const resolver = resolverOf(server.url);
    const error = await failureOf(resolver.resolve("main", [misspelt]));
    expect(error.code).toBe("PATH_MISMATCH");
    expect(error.message).toContain(`${server.url} answered for ${misspelt} with the narinfo of ${path}`);
    for (const question of [
      resolver.pathTypes("main", [misspelt]),
      resolver.narLocations("main", misspelt),
    ]) {
      expect((await failureOf(question)).code).toBe("PATH_MISMATCH");
    }
    expect((await resolver.resolve("main", [path])).paths).toHaveLength(1);
  });

  test("by a reference: a signed one of another name is refused, and says who has it", async () => {
    const app = pathOf("refers");
    const misspelt = path.replace("-app", "-apt") as StorePath;
    const server = await CacheServer.start(cacheFiles([[app, { references: [misspelt, path] }], [path]]));
    const error = await failureOf(resolverOf(server.url).resolve("main", [app]));
    expect(error.code).toBe("PATH_MISMATCH");
    expect(error.message).toContain(`needed by ${app}: ${server.url} answered for ${misspelt}`);
  });

  test("that no cache has: by its hash alone, the message names that", async () => {
    const server = await CacheServer.start();
    const error = await failureOf(resolverOf(server.url).lookup("main", storeHash(path)));
    expect(error.code).toBe("PATH_UNKNOWN");
    expect(error.message).toContain(`/nix/store/${storeHash(path)}-* is not in ${server.url}`);
  });
});

describe("content-addressed paths without a signature", () => {
  const contents = Buffer.from("hello");
  const nar = writeNar({ type: "regular", contents });

  function addressed(ca: string, references: readonly StorePath[] = []): readonly [StorePath, FakePath] {
    const made = contentAddressedPath("hello", parseContentAddress(ca), references, false);
    if (made === undefined) throw new Error(`no path for ${ca}`);
    return [made, { nar, references, signer: undefined, fields: { contentAddress: ca } }];
  }

  function digest(algorithm: string, bytes: Uint8Array): string {
    return encodeNix32(createHash(algorithm).update(bytes).digest());
  }

  test.for([
    `text:sha256:${digest("sha256", contents)}`,
    `fixed:sha256:${digest("sha256", contents)}`,
    `fixed:r:sha256:${digest("sha256", nar)}`,
    `fixed:sha1:${digest("sha1", contents)}`,
    `fixed:sha512:${digest("sha512", contents)}`,
    `fixed:md5:${digest("md5", contents)}`,
    `fixed:r:sha1:${digest("sha1", nar)}`,
  ])("%s is accepted, and is passed on for the content to be checked", async (ca) => {
    const [made, options] = addressed(ca);
    const server = await serve(made, options);
    const resolver = resolverOf(server.url, { publicKeys: [] });
    expect((await resolver.resolve("main", [made])).paths[0]?.contentAddress?.text).toBe(ca);
    const [location] = await resolver.narLocations("main", made);
    expect(location).toMatchObject({ storePath: made, contentAddress: ca });
  });

  test("with references", async () => {
    const [made, options] = addressed(`fixed:r:sha256:${digest("sha256", nar)}`, [path]);
    const server = await CacheServer.start(cacheFiles([[made, options], [path]]));
    expect((await resolverOf(server.url).resolve("main", [made])).paths).toHaveLength(2);
  });

  const right = `fixed:sha256:${digest("sha256", contents)}`;
  const wrong: readonly (readonly [string, Partial<NarInfoFields>])[] = [
    ["of another content", { contentAddress: `fixed:sha256:${digest("sha256", nar)}` }],
    ["of another method", { contentAddress: right.replace("fixed:", "fixed:r:") }],
    ["whose references were changed", { contentAddress: right, references: [path] }],
    ["of Git, which cannot be checked", { contentAddress: `fixed:git:sha1:${digest("sha1", contents)}` }],
  ];
  test.for(wrong)("one %s is not trusted", async ([, fields]) => {
    const [made, options] = addressed(right);
    const server = await serve(made, { ...options, fields });
    const error = await failureOf(resolverOf(server.url).resolve("main", [made]));
    expect(error.code).toBe("PATH_UNTRUSTED");
    expect(error.message).toContain("its path does not follow from its content address");
  });

  test("with a valid signature, the signature is what counts", async () => {
    const [made, options] = addressed(right);
    const server = await serve(made, { ...options, signer });
    const [location] = await resolverOf(server.url).narLocations("main", made);
    expect(location).not.toHaveProperty("contentAddress");
  });

  test("with a wrong signature it counts as without one", async () => {
    const [made, options] = addressed(right);
    const hash = formatNarHash(createHash("sha256").update("x").digest());
    const signatures = [signer.sign({ storePath: made, narHash: hash, narSize: 1, references: [] })];
    const server = await serve(made, { ...options, fields: { contentAddress: right, signatures } });
    const [location] = await resolverOf(server.url).narLocations("main", made);
    expect(location).toHaveProperty("contentAddress", right);
  });

  test.for(["text", "flat"])("a %s one is a file, without asking", async (method) => {
    const [made, options] = addressed(method === "flat" ? right : right.replace("fixed", "text"));
    const server = await serve(made, options);
    const types = await resolverOf(server.url).pathTypes("main", [made]);
    expect(types.get(made)).toBe("regular");
    expect(server.paths).toEqual(["nix-cache-info", `${storeHash(made)}.narinfo`]);
  });

  test("a content address that the path does not follow from tells no type", async () => {
    const server = await serve(path, { fields: { contentAddress: right } });
    expect((await resolverOf(server.url).pathTypes("main", [path])).get(path)).toBe("directory");
  });
});
