/** Files of the store that somebody else has changed: at rest, and while it is open. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync } from "node:fs";
import {
  cp,
  lstat,
  mkdir,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";

import type { Images } from "../../src/image/images.ts";
import { recordId } from "../../src/image/image-record.ts";
import { digestHex, parseDigest } from "../../src/oci/digest.ts";
import { failureOf, temporaryDirectory } from "../resolver/fixture.ts";
import { expectWhole } from "./crash-fixture.ts";
import { type CrashStore, makeCrashStore } from "./crash-store.ts";
import { imagesOf } from "./images-fixture.ts";
import { knownResolver } from "./known-resolver.ts";
import { pullLayer } from "./pull-layer.ts";

const names = ["one", "two", "three"];
const maxBytes = 2 ** 24;
let store: CrashStore;
let directory: string;
/** Of somebody else, beside the store. */
let foreign: string;

const place = mkdtempSync(join(tmpdir(), "nix-closure-damage-"));
afterAll(() => rm(place, { recursive: true }));
beforeAll(async () => {
  store = await makeCrashStore(
    place,
    names.map((name, i) => ({ name, bytes: 300_000 + i, compression: "none" as const })),
  );
});
beforeEach(async () => {
  const parent = await temporaryDirectory();
  [directory, foreign] = [join(parent, "store"), join(parent, "foreign")];
  await mkdir(foreign);
  await cp(store.full, directory, { recursive: true, preserveTimestamps: true });
});

const open = () => imagesOf(knownResolver(store.work.paths), { directory, maxBytes });

/** Pulls everything by its tag, as a node does that was refused before, and looks at the bytes. */
async function expectRight(images: Images): Promise<void> {
  for (const { name, digest } of store.work.images) {
    const layer = await pullLayer(images, name);
    expect(`sha256:${createHash("sha256").update(layer).digest("hex")}`).toBe(digest);
  }
}

/** The first image's blob and record. */
function filesOfFirst(): { readonly blob: string; readonly record: string } {
  const { name, digest } = store.work.images[0]!;
  const [repository, tag] = name;
  return {
    blob: join(directory, "blobs", "sha256", digestHex(parseDigest(digest))),
    record: join(directory, "images", `${recordId({ repository, tag })}.json`),
  };
}

type Damage = (file: string) => Promise<unknown>;
const anew =
  (make: Damage): Damage =>
  async (file) => {
    await rename(file, join(foreign, "moved"));
    await make(file);
  };

const damages: readonly (readonly [string, Damage])[] = [
  ["is cut off", async (file) => truncate(file, Math.floor((await lstat(file)).size / 2))],
  ["is empty", (file) => truncate(file, 0)],
  ["has grown", (file) => writeFile(file, "more", { flag: "a" })],
  [
    "has garbage of the same size",
    async (file) => writeFile(file, Buffer.alloc((await lstat(file)).size, 7)),
  ],
  ["has one bit flipped", flip],
  ["is gone", (file) => rm(file)],
  ["is a directory", anew((file) => mkdir(file))],
  [
    "is a directory with files",
    anew(async (file) => {
      await mkdir(join(file, "within"), { recursive: true });
      await writeFile(join(file, "within", "it"), "x");
    }),
  ],
  ["is a link to nothing", anew((file) => symlink(join(foreign, "nothing"), file))],
  ["is a link to itself", anew((file) => symlink(file, file))],
  ["is a link to a directory", anew((file) => symlink(foreign, file))],
  ["is a link to its own bytes elsewhere", anew((file) => symlink(join(foreign, "moved"), file))],
  [
    "is a link to other bytes",
    anew(async (file) => {
      await writeFile(join(foreign, "other"), Buffer.alloc(300_000));
      await symlink(join(foreign, "other"), file);
    }),
  ],
  ["is a pipe", anew(async (file) => execFileSync("mkfifo", [file]))],
  ["is a socket", anew(listenAt)],
];

async function flip(file: string): Promise<void> {
  const bytes = await readFile(file);
  bytes[bytes.length >> 1]! ^= 1;
  await writeFile(file, bytes);
}

async function listenAt(file: string): Promise<void> {
  const server = createServer();
  // The names of sockets are short.
  await new Promise<void>((resolve) => server.listen(join(foreign, "s"), resolve));
  onTestFinished(() => void server.close());
  await rename(join(foreign, "s"), file);
}

describe.each(["blob", "record"] as const)("a %s that", (which) => {
  it.each(damages)("%s, is made again at the next start", async (_, damage) => {
    await damage(filesOfFirst()[which]);
    const links = await foreignFiles();

    const { images } = await open();
    await expectRight(images);
    await images.close();
    await expectWhole({
      resolver: knownResolver(store.work.paths),
      directory,
      maxBytes,
      digests: store.digests,
      random: Math.random,
    });
    expect(await foreignFiles()).toEqual(links);
  });

  it.each(damages)("%s while the store is open, is never served", async (_, damage) => {
    const { images, observer } = await open();
    await expectRight(images);
    await damage(filesOfFirst()[which]);
    const links = await foreignFiles();
    await expectRight(images);
    expect(observer.size.blobs).toBe(names.length);
    await images.close();
    const again = await open();
    await expectRight(again.images);
    await again.images.close();
    expect(await foreignFiles()).toEqual(links);
  });
});

/** What is outside, with its times: nothing of it may change. */
async function foreignFiles(): Promise<readonly string[]> {
  const files = ["moved", "other"].map(async (name) => {
    const stats = await lstat(join(foreign, name)).catch(() => undefined);
    return `${name} ${stats?.size} ${stats?.mtimeMs}`;
  });
  return Promise.all(files);
}

describe.each(["temporary", "images", "blobs", "blobs/sha256"])("the directory %s", (part) => {
  it("that is gone is made anew", async () => {
    await rm(join(directory, part), { recursive: true });
    await expectRight((await open()).images);
  });

  it.each<[string, Damage]>([
    ["a file", (path) => writeFile(path, "x")],
    ["a link out of the store", (path) => symlink(foreign, path)],
  ])("that is %s is an error in words, and nothing is removed elsewhere", async (_, damage) => {
    await writeFile(join(foreign, "precious"), "x");
    await rename(join(directory, part), join(foreign, "moved"));
    await damage(join(directory, part));
    const error = await failureOf(open());
    expect(error).toMatchObject({ code: "DISK_FAILED" });
    expect(error.message).toContain(join(directory, part.split("/")[0]!));
    expect(await readFile(join(foreign, "precious"), "utf8")).toBe("x");
  });

  it("that goes while the store is open is right bytes or an error in words, until the next start", async () => {
    const { images } = await open();
    await expectRight(images);
    await rm(join(directory, part), { recursive: true });
    for (const { name, digest } of store.work.images) {
      const outcome = await pullLayer(images, name).then(
        (layer) => `sha256:${createHash("sha256").update(layer).digest("hex")}`,
        (error: { code?: string }) => error.code,
      );
      expect([digest, "DISK_FAILED"]).toContain(outcome);
    }
    await images.close();
    await expectRight((await open()).images);
  });
});

it("links and pipes among the temporary files are removed, and what they lead to is not", async () => {
  await writeFile(join(foreign, "precious"), "x");
  await symlink(foreign, join(directory, "temporary", "link"));
  await mkdir(join(directory, "temporary", "tree", "deep"), { recursive: true });
  await symlink(foreign, join(directory, "temporary", "tree", "deep", "link"));
  execFileSync("mkfifo", [join(directory, "temporary", "pipe")]);
  const { images } = await open();
  await expectRight(images);
  await images.close();
  const resolver = knownResolver(store.work.paths);
  await expectWhole({ resolver, directory, maxBytes, digests: store.digests, random: Math.random });
  expect(await readFile(join(foreign, "precious"), "utf8")).toBe("x");
});

it("a record of a gigabyte is not read into memory", async () => {
  const file = join(directory, "images", `${"0".repeat(64)}.json`);
  await writeFile(file, "");
  await truncate(file, 2 ** 30);
  const before = process.resourceUsage().maxRSS;
  await expectRight((await open()).images);
  expect(process.resourceUsage().maxRSS - before).toBeLessThan(256 * 1024);
  await expect(lstat(file)).rejects.toThrow("ENOENT");
});

it.each([
  ["before 1970", -1_000_000_000],
  ["in the far future", 32_500_000_000],
  ["beyond what dates can say", 9_000_000_000_000],
])("times %s of all files do no harm", async (_, seconds) => {
  for (const { name, digest } of store.work.images) {
    const [repository, tag] = name;
    await utimes(join(directory, "images", `${recordId({ repository, tag })}.json`), seconds, seconds);
    await utimes(join(directory, "blobs", "sha256", digestHex(parseDigest(digest))), seconds, seconds);
  }
  for (let start = 0; start < 2; start++) {
    const { images, observer } = await open();
    await expectRight(images);
    expect(observer.conversions).toEqual([]);
    await images.close();
  }
  // And new ones can be written beside them.
  await rm(filesOfFirst().blob);
  await expectRight((await open()).images);
});
