/** oras's other commands; its copies are in pull.test.ts. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { digestOf, fetchDocuments, repositoryOf, tagOf } from "./documents.ts";
import { allImages, chosenImages, expectTree, run, scratchDirectory, suite } from "./fixture.ts";
import { listTars } from "./listing.ts";

const oras = (...args: readonly string[]): Promise<string> =>
  run(suite.programs.oras, ...args, "--plain-http");

test("resolve gives the digest of every image", async () => {
  for (const { reference } of allImages) {
    expect((await oras("resolve", reference)).trim()).toBe((await fetchDocuments(reference)).indexDigest);
  }
});

describe.each(chosenImages)("$reference", (image) => {
  const { reference } = image;

  test("manifest fetch gives the bytes that the digest is of, and --descriptor says so", async () => {
    const bytes = await oras("manifest", "fetch", reference);
    const descriptor = JSON.parse(await oras("manifest", "fetch", "--descriptor", reference)) as object;
    expect(descriptor).toMatchObject({
      mediaType: "application/vnd.oci.image.index.v1+json",
      digest: digestOf(bytes),
      size: bytes.length,
    });
  });

  test("blob fetch gives config and layers", async () => {
    const { manifest } = await fetchDocuments(reference);
    const directory = await scratchDirectory();
    const config = join(directory, "config");
    const blob = (digest: string): string => `${repositoryOf(reference)}@${digest}`;
    await oras("blob", "fetch", "--output", config, blob(manifest.config.digest));
    const layers: string[] = [];
    for (const { digest } of manifest.layers) {
      const layer = join(directory, `layer-${layers.length}`);
      await oras("blob", "fetch", "--output", layer, blob(digest));
      layers.push(layer);
    }
    expect(digestOf(await readFile(config))).toBe(manifest.config.digest);
    expectTree(await listTars(layers), image);
  });

  test("repo tags lists the tag that was pulled", async () => {
    expect((await oras("repo", "tags", repositoryOf(reference))).trim().split("\n")).toContain(
      tagOf(reference),
    );
  });

  test("discover finds that nothing refers to it", async () => {
    const found = JSON.parse(await oras("discover", "--format", "json", reference)) as {
      referrers?: unknown[];
    };
    expect(found.referrers ?? []).toEqual([]);
  });

  test("pull, which takes titled files alone, ends without an error and without a file", async () => {
    const directory = await scratchDirectory();
    expect(await oras("pull", "--output", directory, reference)).toContain("Skipped pulling layers");
    expect(await readdir(directory)).toEqual([]);
  });
});
