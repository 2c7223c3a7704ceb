/** crane's other commands; its exports are in pull.test.ts. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { digestOf, type Manifest, repositoryOf, tagOf } from "./documents.ts";
import { expectedTree } from "./expected.ts";
import {
  allImages,
  chosenImages,
  expectTree,
  expectListing,
  run,
  scratchDirectory,
  suite,
} from "./fixture.ts";
import { layoutLayers } from "./layout.ts";
import { listTars } from "./listing.ts";

const crane = (...args: readonly string[]): Promise<string> =>
  run(suite.programs.crane, ...args, "--insecure");

test("digest, by HEAD, is that of the manifest, by GET, for every image", async () => {
  for (const { reference } of allImages) {
    expect((await crane("digest", reference)).trim()).toBe(digestOf(await crane("manifest", reference)));
  }
});

test("manifest shows an index of amd64 and arm64 over the same layers", async () => {
  for (const { reference } of chosenImages) {
    const index = JSON.parse(await crane("manifest", reference)) as Manifest;
    const architectures = index.manifests?.map(({ platform }) => `${platform?.os}/${platform?.architecture}`);
    expect(architectures).toEqual(["linux/amd64", "linux/arm64"]);
    const layers = new Set<string>();
    for (const { digest } of index.manifests ?? []) {
      const manifest = JSON.parse(
        await crane("manifest", `${repositoryOf(reference)}@${digest}`),
      ) as Manifest;
      layers.add(JSON.stringify(manifest.layers));
    }
    expect(layers.size).toBe(1);
  }
});

test("ls lists the tag that was pulled", async () => {
  for (const { reference } of chosenImages) {
    expect((await crane("ls", repositoryOf(reference))).trim().split("\n")).toContain(tagOf(reference));
  }
});

test("validate --fast finds every image as it says it is, with its blobs", async () => {
  for (const { reference } of allImages) {
    expect(await crane("validate", "--fast", "--remote", reference)).toContain(`PASS: ${reference}`);
  }
});

test("validate without --fast takes every layer for gzip, which ours are not", async () => {
  // https://github.com/google/go-containerregistry/issues/1826; docs/limits.md names it.
  await expect(crane("validate", "--remote", chosenImages[0]!.reference)).rejects.toThrow(
    "gzip: invalid header",
  );
});

describe.each(chosenImages)("$reference", (image) => {
  test("pull --format=oci has the tree", async () => {
    const layout = join(await scratchDirectory(), "layout");
    await crane("pull", "--format=oci", image.reference, layout);
    expectTree(await listTars(await layoutLayers(layout)), image);
  });

  test("pull makes a tar archive of the image that validate takes, layer and all", async () => {
    const archive = join(await scratchDirectory(), "image.tar");
    await crane("pull", "--platform=linux/amd64", image.reference, archive);
    expect(await crane("validate", "--tarball", archive)).toContain(`PASS: ${archive}`);
  });

  test("blob gives the layers, which are tar archives that are not compressed", async () => {
    const { layers = [] } = JSON.parse(
      await crane("manifest", "--platform=linux/amd64", image.reference),
    ) as Manifest;
    const directory = await scratchDirectory();
    const blobs: string[] = [];
    for (const { digest } of layers) {
      const blob = join(directory, `${blobs.length}.tar`);
      const name = `${repositoryOf(image.reference)}@${digest}`;
      // crane writes it to standard output alone.
      await run("bash", "-c", '"$@" > "$0"', blob, suite.programs.crane, "blob", name);
      blobs.push(blob);
    }
    expectListing(await listTars(blobs), expectedTree(image, suite.nars), image.reference);
  });
});
