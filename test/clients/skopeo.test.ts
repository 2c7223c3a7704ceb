/** skopeo's other commands; its copies into directories are in pull.test.ts. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { digestOf, fetchDocuments, type Manifest, repositoryOf, tagOf } from "./documents.ts";
import { allImages, chosenImages, expectTree, run, scratchDirectory } from "./fixture.ts";
import { extract, layoutLayers } from "./layout.ts";
import { listDirectory } from "./listing.ts";

const skopeo = (command: string, ...args: readonly string[]): Promise<string> =>
  run("skopeo", command, ...args);
const inspect = (reference: string, ...args: readonly string[]): Promise<string> =>
  skopeo("inspect", "--tls-verify=false", ...args, `docker://${reference}`);

test("inspect says of every image what it is", async () => {
  for (const image of allImages) {
    const { indexDigest, manifest } = await fetchDocuments(image.reference);
    const said = JSON.parse(await inspect(image.reference)) as Record<string, unknown>;
    expect(said).toMatchObject({
      Name: repositoryOf(image.reference),
      Digest: indexDigest,
      RepoTags: expect.arrayContaining([tagOf(image.reference)]) as unknown,
      Created: "1970-01-01T00:00:01Z",
      Architecture: "amd64",
      Os: "linux",
      Layers: manifest.layers.map(({ digest }) => digest),
    });
    if (image.kind === "path")
      expect(said["Labels"]).toMatchObject({ "org.nix-closure.store-path": image.storePath });
  }
});

describe.each(chosenImages)("$reference", (image) => {
  const { reference } = image;

  test("inspect --raw gives the bytes that the digest is of", async () => {
    expect(digestOf(await inspect(reference, "--raw"))).toBe((await fetchDocuments(reference)).indexDigest);
  });

  test("inspect --config has the layers' digests", async () => {
    const { manifest } = await fetchDocuments(reference);
    const config = await inspect(reference, "--config", "--raw");
    expect(digestOf(config)).toBe(manifest.config.digest);
    expect(JSON.parse(config)).toMatchObject({
      rootfs: { diff_ids: manifest.layers.map(({ digest }) => digest) },
    });
  });

  test("list-tags lists the tag that was pulled", async () => {
    const listed = await skopeo("list-tags", "--tls-verify=false", `docker://${repositoryOf(reference)}`);
    expect((JSON.parse(listed) as { Tags: string[] }).Tags).toContain(tagOf(reference));
  });

  test("copy --all to an OCI layout, which compresses layers, has the tree for both architectures", async () => {
    const directory = await scratchDirectory();
    const layout = join(directory, "layout");
    await skopeo("copy", "--all", "--src-tls-verify=false", `docker://${reference}`, `oci:${layout}:copied`);
    const index = JSON.parse(await skopeo("inspect", "--raw", `oci:${layout}:copied`)) as Manifest;
    expect(index.manifests?.map(({ platform }) => platform?.architecture)).toEqual(["amd64", "arm64"]);
    const tree = await extract(await layoutLayers(layout), join(directory, "tree"));
    expectTree(await listDirectory(tree), image);
  });
});
