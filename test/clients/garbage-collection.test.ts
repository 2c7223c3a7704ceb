/** What the garbage collection of registries leaves of pushed closures, as docs/registries.md says it. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { nginx } from "../service/demo-cache.ts";
import { CollectedRegistry, tagOf } from "./collected-registry.ts";
import { suite } from "./fixture.ts";
import { ordinaryRegistryNames } from "./ordinary-registry.ts";
import { PushMachine } from "./push-machine.ts";
import { deleteManifest } from "./pushed-index.ts";

const machine = await PushMachine.make(join(suite.directory, "garbage-collection"));

describe.each(ordinaryRegistryNames)("%s, without -m", (name) => {
  test("keeps what an index names, and drops what was deleted by digest", async () => {
    const collected = await CollectedRegistry.make(name, machine);
    const { registry, repository, unneeded } = collected;
    await registry.collectGarbage();
    expect(await collected.lost()).toEqual([]);
    expect(collected.leftBlobs()).toHaveLength(unneeded.blobs.size);
    await deleteManifest(repository, collected.nginxIndex);
    await registry.collectGarbage();
    // The images are manifests of their own, which nobody has deleted.
    expect(collected.leftBlobs()).toHaveLength(unneeded.blobs.size);
    for (const digest of unneeded.manifests) await deleteManifest(repository, digest);
    await registry.collectGarbage();
    expect(await collected.lost()).toEqual([]);
    expect(collected.leftBlobs()).toEqual([]);
    await collected.pushAgain();
  });
});

test("distribution, with -m, keeps what a tagged index names, and drops the rest", async () => {
  const collected = await CollectedRegistry.make("distribution", machine);
  const { registry, repository, unneeded } = collected;
  await registry.collectGarbage("--delete-untagged");
  expect(await collected.lost()).toEqual([]);
  expect(collected.leftBlobs()).toHaveLength(unneeded.blobs.size);
  // By its tag: the index itself is then one of those that have none.
  await deleteManifest(repository, tagOf(nginx));
  await registry.collectGarbage("--delete-untagged");
  expect(await collected.lost()).toEqual([]);
  expect(collected.leftBlobs()).toEqual([]);
  await collected.pushAgain();
});

test("docker-registry, with -m, loses the images of every index, and a push brings them back", async () => {
  const collected = await CollectedRegistry.make("docker-registry", machine);
  await collected.registry.collectGarbage("--delete-untagged");
  expect((await collected.lost()).length).toBeGreaterThan(10);
  await collected.pushAgain();
});
