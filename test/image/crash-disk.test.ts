/** Disks that are full, or take nothing more. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmdirSync, statfsSync, truncateSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";

import { digestHex, parseDigest } from "../../src/oci/digest.ts";
import { mapBounded } from "../../src/resolver/slots.ts";
import { failureOf, temporaryDirectory } from "../resolver/fixture.ts";
import { expectWhole } from "./crash-fixture.ts";
import { type CrashStore, makeCrashStore } from "./crash-store.ts";
import { imagesOf, type TestImages } from "./images-fixture.ts";
import { knownResolver } from "./known-resolver.ts";
import { pullLayer } from "./pull-layer.ts";
import { filesIn } from "./store-fixture.ts";

const disk = mkdtempSync(join(tmpdir(), "nix-closure-disk-"));
const mount = (...options: readonly string[]): boolean =>
  spawnSync("mount", ["-t", "tmpfs", "-o", options.join(), "nix-closure-test", disk]).status === 0;
const remount = (how: "ro" | "rw"): boolean =>
  spawnSync("mount", ["-o", `remount,${how}`, disk]).status === 0;
const unmount = (): void => void spawnSync("umount", ["-l", disk]);

const canMount = mount("size=1m");
if (canMount) unmount();
afterAll(() => rmdirSync(disk));

describe.skipIf(!canMount)("a disk of its own (needs the right to mount a tmpfs: root on Linux)", () => {
  const bytes = 1_000_000;
  const maxBytes = 2 ** 24;
  let store: CrashStore;
  let directory: string;

  beforeEach(async () => {
    expect(mount("size=4m")).toBe(true);
    directory = join(disk, "store");
    mkdirSync(directory);
    store = await makeCrashStore(
      await temporaryDirectory(),
      ["a", "b", "c", "d", "e"].map((name) => ({ name, bytes, compression: "none" as const })),
    );
  });
  afterEach(unmount);

  const open = (options: { readonly maxBytes?: number } = {}): Promise<TestImages> =>
    imagesOf(knownResolver(store.work.paths), { directory, maxBytes, ...options });

  /** What comes of pulling all: the codes of errors, and `right`, for nothing else may be served. */
  async function pullAll({ images }: TestImages, atATime = 1): Promise<readonly string[]> {
    return mapBounded(store.work.images, atATime, async ({ name, digest }) => {
      try {
        const layer = await pullLayer(images, name);
        expect(`sha256:${createHash("sha256").update(layer).digest("hex")}`).toBe(digest);
        return "right";
      } catch (error) {
        return (error as { code?: string }).code ?? String(error);
      }
    });
  }

  async function expectWholeAfter(running: TestImages): Promise<void> {
    await running.images.close();
    const resolver = knownResolver(store.work.paths);
    await expectWhole({ resolver, directory, maxBytes, digests: store.digests, random: Math.random });
  }

  it("that is full refuses some of many that come at once, and serves them when there is room", async () => {
    const filler = join(disk, "filler");
    await writeFile(filler, Buffer.alloc(bytes));
    const running = await open();
    const outcomes = await pullAll(running, 5);
    expect(new Set(outcomes)).toEqual(new Set(["right", "DISK_FAILED"]));
    expect((await filesIn(directory)).filter((file) => file.startsWith("temporary"))).toEqual([]);
    const { blobs } = running.observer.size;
    expect(blobs).toBe(outcomes.filter((outcome) => outcome === "right").length);

    await rm(filler);
    const [first] = store.work.images;
    await running.images.close();
    // A budget that the disk has: now it evicts.
    const smaller = await open({ maxBytes: 3_000_000 });
    await pullLayer(smaller.images, first!.name);
    for (const { name } of store.work.images) await pullLayer(smaller.images, name);
    await expectWholeAfter(smaller);
  });

  it("that has room for a blob and not for its record loses nothing, and tries again", async () => {
    const running = await open();
    const [first] = store.work.images;
    const filler = join(disk, "filler");
    const { bavail, bsize } = statfsSync(disk);
    // All but the layer, to a page.
    const pages = Math.ceil((bytes + 2_560) / bsize);
    await writeFile(filler, Buffer.alloc((bavail - pages) * bsize));
    const error = await failureOf(pullLayer(running.images, first!.name));
    expect(error).toMatchObject({ code: "DISK_FAILED", status: 503 });
    expect(await filesIn(directory)).toEqual([]);
    expect(running.observer.size).toEqual({ bytes: 0, blobs: 0 });
    truncateSync(filler, 0);
    await pullLayer(running.images, first!.name);
    expect(running.observer.size.blobs).toBe(1);
    await expectWholeAfter(running);
  });

  it("that becomes read-only serves what it has, and says of the rest what is wrong", async () => {
    const running = await open({ maxBytes: 2_500_000 });
    const [first, second] = store.work.images;
    await pullLayer(running.images, first!.name);
    await pullLayer(running.images, second!.name);
    expect(remount("ro")).toBe(true);
    onTestFinished(() => void remount("rw"));
    for (let time = 0; time < 2; time++) {
      expect(await pullAll(running)).toEqual(["right", "right", "DISK_FAILED", "DISK_FAILED", "DISK_FAILED"]);
      expect(running.observer.size).toMatchObject({ blobs: 2 });
    }
    expect(remount("rw")).toBe(true);
    // What could not be evicted has not been forgotten.
    for (const { name } of store.work.images) await pullLayer(running.images, name);
    expect(running.observer.size.bytes).toBeLessThanOrEqual(2_500_000);
    await expectWholeAfter(running);
  });

  it("that is read-only refuses a start in words", async () => {
    const first = await open();
    await pullAll(first);
    await first.images.close();
    expect(remount("ro")).toBe(true);
    onTestFinished(() => void remount("rw"));
    expect(await failureOf(open())).toMatchObject({ code: "DISK_FAILED" });
    remount("rw");
    await expectWholeAfter(await open());
  });

  it("with a damaged blob that cannot be removed does not serve it", async () => {
    const running = await open();
    const [first] = store.work.images;
    await pullLayer(running.images, first!.name);
    const blob = join(directory, "blobs", "sha256", digestHex(parseDigest(first!.digest)));
    await writeFile(blob, Buffer.alloc(100));
    expect(remount("ro")).toBe(true);
    onTestFinished(() => void remount("rw"));
    for (let time = 0; time < 2; time++)
      expect(await failureOf(pullLayer(running.images, first!.name))).toMatchObject({ code: "DISK_FAILED" });
    expect(remount("rw")).toBe(true);
    await pullLayer(running.images, first!.name);
    await expectWholeAfter(running);
  });
});
