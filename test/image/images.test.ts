import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { contentAddressedPath, parseContentAddress } from "../../src/nix/content-address.ts";
import { encodeNix32 } from "../../src/nix/nix32.ts";
import { storeHash, type StorePath } from "../../src/nix/store-path.ts";
import { digestHex, sha256Digest } from "../../src/oci/digest.ts";
import { mediaTypes } from "../../src/oci/documents.ts";
import { directory, file } from "../nix/nar-samples.ts";
import { writeNar } from "../nix/nar-writer.ts";
import { CacheServer, withStatus } from "../resolver/cache-server.ts";
import { cacheFiles, type FakePath, pathOf } from "../resolver/fake-store.ts";
import { failureOf, until } from "../resolver/fixture.ts";
import { gzip } from "../compression/compress.ts";
import { belowRoot, unpackLayer, unpackNar } from "./files.ts";
import {
  cacheDirectory,
  imagesOf,
  parse,
  pathImage,
  pull,
  read,
  resolverFor,
  storeImage,
  type TestImages,
} from "./images-fixture.ts";
import { filesIn } from "./store-fixture.ts";

const narOf = (name: string): Buffer =>
  writeNar(
    directory({
      bin: directory({ [name]: { type: "regular", executable: true, contents: Buffer.from(name) } }),
    }),
  );

const app = pathOf("app");
const library = pathOf("library");
const appFiles: readonly (readonly [StorePath, FakePath])[] = [
  [app, { nar: narOf("app"), references: [library] }],
  [library, { nar: narOf("library") }],
];

/** Images of one source with one file cache. */
async function simple(
  paths: Iterable<readonly [StorePath, FakePath?]> = appFiles,
  options: Parameters<typeof imagesOf>[1] = {},
): Promise<TestImages> {
  return imagesOf(resolverFor({ main: [await cacheDirectory(cacheFiles(paths))] }), options);
}

describe("a tag", () => {
  it("answers an index with one image for each architecture over the same layer", async () => {
    const { images } = await simple();
    const [repository, tag] = pathImage(app);
    const index = await images.resolveTag(repository, tag);
    expect(index.mediaType).toBe(mediaTypes.index);
    const { manifests } = parse(index) as {
      manifests: { digest: string; platform: { architecture: string; os: string } }[];
    };
    expect(manifests.map(({ platform }) => platform)).toEqual([
      { architecture: "amd64", os: "linux" },
      { architecture: "arm64", os: "linux" },
    ]);
    const configs = new Set<string>();
    const layers = new Set<string>();
    for (const { digest, platform } of manifests) {
      const manifest = await images.document(repository, digest as never);
      expect(manifest?.mediaType).toBe(mediaTypes.manifest);
      const { config, layers: listed } = parse(manifest) as {
        config: { digest: string; size: number };
        layers: { digest: string; size: number; mediaType: string }[];
      };
      const bytes = await read(images, repository, config.digest as never);
      expect(bytes).toHaveLength(config.size);
      expect(sha256Digest(bytes)).toBe(config.digest);
      expect(JSON.parse(bytes.toString())).toMatchObject({
        os: "linux",
        architecture: platform.architecture,
        rootfs: { type: "layers", diff_ids: [listed[0]!.digest] },
      });
      const layer = await read(images, repository, listed[0]!.digest as never);
      expect(layer).toHaveLength(listed[0]!.size);
      expect(sha256Digest(layer)).toBe(listed[0]!.digest);
      expect(listed[0]!.mediaType).toBe(mediaTypes.layerTar);
      configs.add(config.digest);
      layers.add(listed[0]!.digest);
    }
    expect(configs.size).toBe(2);
    expect(layers.size).toBe(1);
    expect(await images.document(repository, index.digest)).toEqual(index);
  });

  it("of any version is answered with today's bytes", async () => {
    const { images, resolver, observer } = await simple();
    const closure = await resolver.resolve("main", [app]);
    const [repository] = pathImage(app);
    const today = await images.resolveTag(repository, "1");
    expect(await images.resolveTag(repository, "27")).toEqual(today);
    const store = await images.resolveTag(...storeImage(closure, "n"));
    expect(await images.resolveTag(...storeImage(closure, "n", { version: 27 }))).toEqual(store);
    expect(observer.conversions).toHaveLength(2);
    expect(await images.tags(repository)).toEqual(["1"]);
    expect(await images.tags(storeImage(closure, "n")[0])).toEqual([storeImage(closure, "n")[1]]);
  });

  it.each(["0", "01", "latest", "1.0", "1-a", ""])("%j of a path image is 404", async (tag) => {
    const { images } = await simple();
    const error = await failureOf(images.resolveTag(pathImage(app)[0], tag));
    expect(error).toMatchObject({ code: "IMAGE_NAME_INVALID", status: 404 });
  });

  it("for another closure is refused, with both checks", async () => {
    const { images, resolver } = await simple();
    const closure = await resolver.resolve("main", [app]);
    const [repository, tag] = storeImage(closure, "n");
    const other = tag.replace(/.{16}$/, "0123456789abcdef");
    const error = await failureOf(images.resolveTag(repository, other));
    expect(error).toMatchObject({ code: "CLOSURE_CHECK_MISMATCH", status: 409 });
    expect(error.message).toContain("0123456789abcdef");
    expect(error.message).toContain(tag.slice(-16));
    // The check covers the decision.
    expect((await failureOf(images.resolveTag(repository, tag.replace("-n-", "-a-")))).code).toBe(
      "CLOSURE_CHECK_MISMATCH",
    );
  });

  it("for a path that no cache has is its error", async () => {
    const { images } = await simple();
    const error = await failureOf(images.resolveTag(...pathImage(pathOf("other"))));
    expect(error).toMatchObject({ code: "PATH_UNKNOWN", status: 404 });
  });
});

describe("the base image", () => {
  it("has what programs look for, and nothing that hides the container's own", async () => {
    const { images } = await simple();
    const { layer, config } = await pull(images, ["base", "1"]);
    const entries = unpackLayer(layer);
    expect(entries.map(({ path, mode }) => `${path} ${mode.toString(8)}`)).toEqual([
      "etc 755",
      "etc/group 644",
      "etc/nsswitch.conf 644",
      "etc/passwd 644",
      "nix 755",
      "nix/store 755",
      "tmp 1777",
    ]);
    const content = (path: string): string => entries.find((entry) => entry.path === path)!.content;
    expect(content("etc/nsswitch.conf")).toMatch(/^hosts: files dns$/m);
    expect(content("etc/group")).toMatch(/^nonroot:x:65532:$/m);
    expect(config.config).toEqual({ User: "65532", Labels: { "org.nix-closure.base": "1" } });
    // By its digest, for it must not change but with the version of the conversion.
    expect(sha256Digest(layer)).toBe(
      "sha256:ae33ab7fcc63ab238974904b38a834abdd6e4506a7b164037394fbf7bf830372",
    );
    expect(await images.tags("base")).toEqual(["1"]);
  });
});

describe("one conversion", () => {
  it("serves all who ask at the same time, and those who ask later", async () => {
    const { images, observer } = await simple();
    const answers = await Promise.all(
      Array.from({ length: 20 }, async () => images.resolveTag(...pathImage(app))),
    );
    expect(new Set(answers.map(({ digest }) => digest)).size).toBe(1);
    await images.resolveTag(...pathImage(app));
    expect(observer.conversions).toEqual([
      { kind: "path", outcome: "ok", seconds: expect.any(Number) as number, bytes: 2560 },
    ]);
  });

  it("serves other sources with the same content, each under its own name alone", async () => {
    const url = await cacheDirectory(cacheFiles(appFiles));
    const { images, observer } = await imagesOf(resolverFor({ one: [url], two: [url], three: [url] }));
    const one = await pull(images, pathImage(app, "one"));
    const unasked = pathImage(app, "two")[0];
    expect(await images.document(unasked, one.index.digest)).toBeUndefined();
    expect(await images.blob(unasked, one.layerDigest)).toBeUndefined();
    const two = await pull(images, pathImage(app, "two"));
    expect(two.layer.equals(one.layer)).toBe(true);
    expect(observer.conversions).toHaveLength(1);
    expect(await images.blob(pathImage(app, "three")[0], one.layerDigest)).toBeUndefined();
  });

  it("serves nobody whose own source does not vouch for the path", async () => {
    const files = cacheFiles(appFiles);
    const unsigned = cacheFiles(appFiles.map(([path, options]) => [path, { ...options, signer: undefined }]));
    const { images } = await imagesOf(
      resolverFor({ good: [await cacheDirectory(files)], bad: [await cacheDirectory(unsigned)] }),
    );
    const good = await pull(images, pathImage(app, "good"));
    const error = await failureOf(images.resolveTag(...pathImage(app, "bad")));
    expect(error.code).toBe("PATH_UNTRUSTED");
    expect(await images.blob(pathImage(app, "bad")[0], good.layerDigest)).toBeUndefined();
  });

  it("does not stand for the check of a content address", async () => {
    const nar = narOf("app");
    const narHash = createHash("sha256").update(nar).digest();
    // A path that follows from a content address which the content does not have: it would stand for anything.
    const address = (hash: Uint8Array): string => `fixed:r:sha256:${encodeNix32(hash)}`;
    const claimed = (hash: Uint8Array): readonly [StorePath, FakePath] => {
      const contentAddress = address(hash);
      const path = contentAddressedPath("claimed", parseContentAddress(contentAddress), [], false)!;
      return [path, { nar, signer: undefined, fields: { contentAddress } }];
    };
    const [forged, forgedOptions] = claimed(createHash("sha256").update("other").digest());
    const [honest, honestOptions] = claimed(narHash);
    const url = await cacheDirectory(
      cacheFiles([
        [app, { nar }],
        [forged, forgedOptions],
        [honest, honestOptions],
      ]),
    );
    const { images, observer } = await imagesOf(resolverFor({ main: [url] }));
    const signed = await pull(images, pathImage(app));
    for (let time = 0; time < 2; time++) {
      const error = await failureOf(images.resolveTag(...pathImage(forged)));
      expect(error).toMatchObject({ code: "CONTENT_ADDRESS_MISMATCH" });
    }
    const unsigned = await pull(images, pathImage(honest));
    expect(unsigned.layerDigest).toBe(signed.layerDigest);
    expect((await failureOf(images.resolveTag(...pathImage(forged)))).code).toBe("CONTENT_ADDRESS_MISMATCH");
    expect(observer.conversions.map(({ outcome }) => outcome)).toEqual([
      "ok",
      "error",
      "error",
      "ok",
      "error",
    ]);
  });
});

describe("what fails", () => {
  it.each<[string, FakePath, string]>([
    ["a whiteout", { nar: writeNar(directory({ ".wh.x": file })) }, "WHITEOUT_NAME"],
    ["a file", { nar: writeNar(file) }, "NOT_A_DIRECTORY"],
    [
      "no NAR",
      { nar: Buffer.from("not a NAR at all, but sixty bytes of something different.....") },
      "NAR_INVALID",
    ],
    ["an unknown compression", { fields: { compression: "lzip" } }, "COMPRESSION_UNSUPPORTED"],
    ["a compression that it does not have", { fields: { compression: "xz" } }, "DECOMPRESSION_FAILED"],
  ])("%s leaves nothing behind", async (_, options, code) => {
    const { images, directory: place, observer } = await simple([[app, options]]);
    for (let time = 0; time < 2; time++) {
      expect((await failureOf(images.resolveTag(...pathImage(app)))).code).toBe(code);
    }
    expect(await filesIn(place)).toEqual([]);
    expect(observer.size).toEqual({ bytes: 0, blobs: 0 });
  });

  it.each<[string, (nar: Buffer) => Buffer, string]>([
    ["a flipped bit", (nar) => flipped(nar), "NAR_HASH_MISMATCH"],
    ["a NAR that is cut off", (nar) => nar.subarray(0, nar.length - 16), "NAR_INVALID"],
    ["a NAR that goes on", (nar) => Buffer.concat([nar, Buffer.alloc(64)]), "NAR_SIZE_MISMATCH"],
    ["an empty file", () => Buffer.alloc(0), "NAR_INVALID"],
  ])("%s leaves nothing behind, and is forgotten when it is mended", async (_, damage, code) => {
    const files = cacheFiles(appFiles);
    const name = `nar/${storeHash(app)}.nar`;
    const good = Buffer.from(files.get(name)!);
    const server = await CacheServer.start(files);
    server.answer(name, (response) => response.end(damage(good)));
    const { images, directory: place, resolver } = await imagesOf(resolverFor({ main: [server.url] }));
    const closure = await resolver.resolve("main", [app]);
    expect((await failureOf(images.resolveTag(...pathImage(app)))).code).toBe(code);
    expect((await failureOf(images.resolveTag(...storeImage(closure, "n")))).code).toBe(code);
    expect(await filesIn(place)).toEqual([]);
    server.answer(name, (response) => response.end(good));
    const { layer } = await pull(images, pathImage(app));
    expect(unpackLayer(layer)).toEqual(belowRoot(unpackNar(good)));
    await images.resolveTag(...storeImage(closure, "n"));
  });

  it("in one cache is made up for by the next", async () => {
    const good = cacheFiles(appFiles);
    const bad = new Map(good);
    const name = `nar/${storeHash(library)}.nar`;
    bad.set(name, flipped(Buffer.from(good.get(name)!)));
    const server = await CacheServer.start(bad);
    const goodUrl = await cacheDirectory(good);
    const { images, resolver } = await imagesOf(resolverFor({ main: [server.url, goodUrl] }));
    const closure = await resolver.resolve("main", [app]);
    const mixed = await pull(images, storeImage(closure, "n"));
    const other = await imagesOf(resolverFor({ main: [goodUrl] }));
    const expected = await pull(other.images, storeImage(closure, "n"));
    expect(mixed.index).toEqual(expected.index);
    expect(mixed.layer.equals(expected.layer)).toBe(true);
    expect(server.paths).toContain(name);
  });

  it("because a NAR has another place now is made up for by asking again", async () => {
    const files = cacheFiles(appFiles);
    const server = await CacheServer.start(files);
    const { images, resolver } = await imagesOf(resolverFor({ main: [server.url] }));
    await resolver.resolve("main", [app]);
    // The cache has compressed it since.
    const nar = files.get(`nar/${storeHash(app)}.nar`)!;
    const moved = { url: "nar/moved.nar.gz", compression: "gzip" };
    const later = cacheFiles([[app, { nar, references: [library], fields: moved }]]);
    for (const name of [`${storeHash(app)}.narinfo`]) {
      server.answer(name, (response) => response.end(later.get(name)));
    }
    server.answer(`nar/${storeHash(app)}.nar`, withStatus(404));
    server.answer("nar/moved.nar.gz", (response) => response.end(gzip(nar)));
    await pull(images, pathImage(app));
  });

  it("because a NAR is gone says so", async () => {
    const files = cacheFiles(appFiles);
    files.delete(`nar/${storeHash(app)}.nar`);
    const { images } = await imagesOf(resolverFor({ main: [await cacheDirectory(files)] }));
    const error = await failureOf(images.resolveTag(...pathImage(app)));
    expect(error.code).toBe("NAR_MISSING");
    expect(error.message).toContain(app);
  });
});

describe("a conversion that takes long", () => {
  it("is told of in time, goes on, and serves who asks again", async () => {
    const { server, release, name } = await slowServer();
    const { images, observer } = await imagesOf(resolverFor({ main: [server.url] }), { patience: 0.3 });
    const error = await failureOf(images.resolveTag(...pathImage(app)));
    expect(error).toMatchObject({ code: "CONVERSION_SLOW", status: 503 });
    expect(error.message).toContain(pathImage(app).join(":"));
    const again = failureOf(images.resolveTag(...pathImage(app)));
    expect((await again).code).toBe("CONVERSION_SLOW");
    release();
    await until(() => observer.conversions.length === 1);
    await pull(images, pathImage(app));
    expect(server.paths.filter((path) => path === name)).toHaveLength(1);
    expect(observer.conversions).toHaveLength(1);
  });

  it("goes on for the others when one of those who wait goes away", async () => {
    const { server, release, name } = await slowServer();
    const { images, observer } = await imagesOf(resolverFor({ main: [server.url] }));
    const abort = new AbortController();
    const gone = images.resolveTag(...pathImage(app), abort.signal);
    const stays = images.resolveTag(...pathImage(app));
    await until(() => server.paths.includes(name));
    abort.abort(new Error("went away"));
    await expect(gone).rejects.toThrow("went away");
    await expect(images.resolveTag(...pathImage(app), abort.signal)).rejects.toThrow("went away");
    release();
    await stays;
    expect(observer.conversions).toHaveLength(1);
  });

  it("is ended by closing, and leaves nothing behind", async () => {
    const { server, name } = await slowServer();
    const { images, directory: place } = await imagesOf(resolverFor({ main: [server.url] }));
    const waiting = failureOf(images.resolveTag(...pathImage(app)));
    await until(() => server.paths.includes(name));
    await images.close();
    expect((await waiting).code).toBe("SHUTTING_DOWN");
    expect((await failureOf(images.resolveTag(...pathImage(app)))).code).toBe("SHUTTING_DOWN");
    expect(await filesIn(place)).toEqual([]);
  });

  /** A cache that keeps back the NAR of the app until it is released. */
  async function slowServer(): Promise<{ server: CacheServer; release: () => void; name: string }> {
    const files = cacheFiles(appFiles);
    const name = `nar/${storeHash(app)}.nar`;
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const server = await CacheServer.start(files);
    server.answer(name, (response) => {
      const nar = files.get(name)!;
      response.write(nar.subarray(0, 100));
      void released.then(() => response.end(nar.subarray(100)));
    });
    return { server, release, name };
  }
});

describe("listing tags", () => {
  it("knows repositories by what the source has", async () => {
    const { images, resolver } = await simple();
    const closure = await resolver.resolve("main", [app]);
    const [storeRepository, storeTag] = storeImage(closure, "n");
    expect(await images.tags(pathImage(app)[0])).toEqual(["1"]);
    expect(await images.tags(pathImage(pathOf("other"))[0])).toBeUndefined();
    expect(await images.tags(pathImage(app, "elsewhere")[0])).toBeUndefined();
    expect(await images.tags("library/nginx")).toBeUndefined();
    expect(await images.tags(storeRepository)).toEqual([]);
    await images.resolveTag(storeRepository, storeTag);
    expect(await images.tags(storeRepository)).toEqual([storeTag]);
  });
});

describe("after a restart", () => {
  it("documents and blobs are served as before, without a conversion", async () => {
    const first = await simple();
    const before = await pull(first.images, pathImage(app));
    await first.images.close();
    const { images, observer } = await imagesOf(first.resolver, { directory: first.directory });
    const [repository] = pathImage(app);
    expect(await images.document(repository, before.index.digest)).toEqual(before.index);
    expect((await read(images, repository, before.layerDigest)).equals(before.layer)).toBe(true);
    const after = await pull(images, pathImage(app));
    expect(after.index).toEqual(before.index);
    expect(observer.conversions).toEqual([]);
  });

  it("a layer that was damaged meanwhile is made again", async () => {
    const first = await simple();
    const before = await pull(first.images, pathImage(app));
    await first.images.close();
    const blob = join(first.directory, "blobs", "sha256", digestHex(before.layerDigest));
    await writeFile(blob, flipped(before.layer));
    const lines: string[] = [];
    const line = (_: object, message: string): void => void lines.push(message);
    const log = { debug: line, info: line, warn: line };
    const { images, observer } = await imagesOf(first.resolver, { directory: first.directory, log });
    const after = await pull(images, pathImage(app));
    expect(after.index).toEqual(before.index);
    expect(after.layer.equals(before.layer)).toBe(true);
    expect(observer.conversions).toHaveLength(1);
    expect(lines.filter((message) => message.includes("damaged"))).toHaveLength(1);
  });

  it("sources that are not configured any more are not served", async () => {
    const url = await cacheDirectory(cacheFiles(appFiles));
    const first = await imagesOf(resolverFor({ main: [url] }));
    const before = await pull(first.images, pathImage(app));
    await first.images.close();
    const { images } = await imagesOf(resolverFor({ other: [url] }), { directory: first.directory });
    const [repository, tag] = pathImage(app);
    expect(await images.document(repository, before.index.digest)).toBeUndefined();
    expect(await images.blob(repository, before.layerDigest)).toBeUndefined();
    expect((await failureOf(images.resolveTag(repository, tag))).code).toBe("SOURCE_UNKNOWN");
  });
});

function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  // In the contents of the file, which the NAR's form does not depend on.
  copy[copy.lastIndexOf("app") >= 0 ? copy.lastIndexOf("app") : copy.lastIndexOf("library")]! ^= 1;
  return copy;
}
