/** NARs that are made to do harm, from their cache through a worker thread to the blob store. */
import { fork } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import zlib from "node:zlib";

import { describe, expect, it, onTestFinished, test } from "vitest";

import { formatNarHash } from "../../src/nix/hash.ts";
import { storeHash, type StorePath } from "../../src/nix/store-path.ts";
import { longRun } from "../compression/bzip2-writer.ts";
import { type Bomb, bombsAfter, greedy, hollow } from "../compression/bombs.ts";
import { directory, head, nested, withLength } from "../nix/nar-samples.ts";
import { narString, narStrings, type NarNode, writeNar } from "../nix/nar-writer.ts";
import type { NarInfoFields } from "../nix/signer.ts";
import { cacheFiles, type FakePath, pathOf, signer } from "../resolver/fake-store.ts";
import { temporaryDirectory } from "../resolver/fixture.ts";
import { compileCache } from "./child.ts";
import type { HostileAnswer, HostileWork } from "./hostile-child.ts";
import { cacheDirectory, pathImage } from "./images-fixture.ts";
import { filesIn } from "./store-fixture.ts";

const mebibyte = 2 ** 20;
/** What a decoder with the largest legal window takes, and some room for a heap that was not cleared yet. */
const maxGrowth = 256 * mebibyte;

interface Subject {
  readonly name: string;
  /** What the narinfo says of it; the NAR in the cache is another one. */
  readonly path: FakePath | ((path: StorePath) => FakePath);
  readonly stored: () => Uint8Array;
  readonly outcome: string;
}

/** Lets a process of its own make an image of each subject; nothing of them must be left in its store. */
async function convert(
  subjects: readonly Subject[],
  options: { readonly useLibraries: boolean; readonly maxBytes?: number },
): Promise<HostileAnswer> {
  const paths = subjects.map((subject, index) => [pathOf(`subject-${index}`), subject] as const);
  const files = cacheFiles(
    paths.map(([path, { path: fake }]) => [path, typeof fake === "function" ? fake(path) : fake]),
  );
  for (const [path, subject] of paths) files.set(`nar/${storeHash(path)}.nar`, subject.stored());
  const images = paths.map(([path]) => pathImage(path));
  return convertFrom(await cacheDirectory(files), images, options);
}

async function convertFrom(
  cache: string,
  images: HostileWork["images"],
  {
    useLibraries,
    maxBytes = 1024 * mebibyte,
  }: { readonly useLibraries: boolean; readonly maxBytes?: number },
): Promise<HostileAnswer> {
  const place = join(await temporaryDirectory(), "store");
  const work = { cache, publicKey: signer.publicKey, directory: place, maxBytes, useLibraries, images };
  const child = fork(
    fileURLToPath(new URL("hostile-child.ts", import.meta.url)),
    [JSON.stringify(work satisfies HostileWork)],
    { env: { ...process.env, NODE_COMPILE_CACHE: compileCache } },
  );
  onTestFinished(() => void child.kill("SIGKILL"));
  const exited = once(child, "exit");
  const [answer] = (await Promise.race([once(child, "message"), exited])) as [unknown];
  if (typeof answer !== "object") throw new Error("the child ended early");
  await exited;
  const { outcomes } = answer as HostileAnswer;
  const layers = (await filesIn(place)).filter((name) => /^(?:blobs|temporary|tmp)\b/.test(name));
  expect(layers).toHaveLength(outcomes.filter((outcome) => outcome === "made").length);
  return answer as HostileAnswer;
}

/** All of them are refused as they say, in time, and without more memory than a decoder needs. */
async function expectRefused(
  subjects: readonly Subject[],
  useLibraries: boolean,
  maxBytes?: number,
): Promise<void> {
  const answer = await convert(subjects, { useLibraries, ...(maxBytes !== undefined && { maxBytes }) });
  const outcomes = answer.outcomes.map((outcome, index) => `${subjects[index]?.name}: ${outcome}`);
  expect(outcomes, answer.messages.join("\n")).toEqual(
    subjects.map(({ name, outcome }) => `${name}: ${outcome}`),
  );
  expect(Math.max(...answer.times), "the longest took").toBeLessThan(10_000);
  expect(answer.growth).toBeLessThan(maxGrowth);
}

const honest = writeNar(directory({ zeros: { type: "regular", contents: Buffer.alloc(1000) } }));
const start = honest.subarray(0, honest.length - 1000);
const ways: readonly [string, boolean][] = [
  ["programs", false],
  ["libraries", true],
];

describe.each(ways)("by %s", (_, useLibraries) => {
  it("a bomb of up to 4 GiB, compressed in any way, is refused when it is longer than NarSize", async () => {
    const subjects = bombsAfter(start).map((bomb) => subjectOf(bomb, "NAR_SIZE_MISMATCH"));
    expect(subjects).toHaveLength(5);
    // The same for a NAR that is large enough to be worth a program.
    const large = writeNar(directory({ zeros: { type: "regular", contents: Buffer.alloc(2 * mebibyte) } }));
    const zstdBomb = bombsAfter(large).find(({ compression }) => compression === "zstd")!;
    subjects.push(subjectOf(zstdBomb, "NAR_SIZE_MISMATCH", large));
    await expectRefused(subjects, useLibraries);
  });

  it("data that asks for too large a window or dictionary is refused", async () => {
    await expectRefused(
      greedy.map((bomb) => subjectOf(bomb, "DECOMPRESSION_FAILED")),
      useLibraries,
    );
  });

  it("data in a hundred thousand pieces of nothing is refused, in time", async () => {
    const subjects = hollow.map((bomb) =>
      subjectOf(bomb, bomb.compression === "zstd" ? "DECOMPRESSION_FAILED" : "NAR_INVALID"),
    );
    await expectRefused([...subjects, subjectOf(hugeRun, "DECOMPRESSION_FAILED")], useLibraries);
  });
});

const hugeRun: Bomb = { name: "bzip2, a run of 2^32", compression: "bzip2", bytes: () => longRun(32) };

function subjectOf({ name, compression, bytes }: Bomb, outcome: string, nar = honest): Subject {
  return { name, path: { nar, fields: { compression } }, stored: bytes, outcome };
}

/** A NAR as it is, without compression; the narinfo tells its true size. */
function plain(name: string, nar: Uint8Array, outcome: string): Subject {
  return { name, path: { nar }, stored: () => nar, outcome };
}

it("lengths of 2^63, 5000 levels and what is larger than the store are refused", async () => {
  const lie = withLength(2n ** 63n, Buffer.alloc(mebibyte));
  const entry = ["directory", "entry", "(", "name"] as const;
  const subjects: readonly Subject[] = [
    plain("contents", Buffer.concat([head("regular", "contents"), lie]), "NAR_INVALID"),
    plain(
      "contents of an entry",
      Buffer.concat([head(...entry, "a", "node", "(", "type", "regular", "contents"), lie]),
      "NAR_INVALID",
    ),
    plain("name", Buffer.concat([head(...entry), lie]), "NAR_INVALID"),
    plain("target", Buffer.concat([head("symlink", "target"), lie]), "NAR_INVALID"),
    plain("word", Buffer.concat([head(), lie]), "NAR_INVALID"),
    plain("the first word", lie, "NAR_INVALID"),
    plain("5000 levels", nested(5000), "NAR_INVALID"),
    {
      name: "a NarSize of 2^53 - 1",
      path: (path) => ({ fields: signedSize(path, Number.MAX_SAFE_INTEGER) }),
      stored: () => honest,
      outcome: "BLOB_BUDGET_EXHAUSTED",
    },
    plain("an archive of a hundred times its NAR", deepFiles(3000), "BLOB_BUDGET_EXHAUSTED"),
  ];
  await expectRefused(subjects, true, 32 * mebibyte);
});

it("a plain file of 4 GiB is refused when it is longer than NarSize", async () => {
  const path = pathOf("sparse");
  const url = await cacheDirectory(cacheFiles([[path, { nar: honest }]]));
  const file = join(fileURLToPath(url), `nar/${storeHash(path)}.nar`);
  await writeFile(file, start);
  await truncate(file, 4096 * mebibyte);
  const { outcomes, growth } = await convertFrom(url, [pathImage(path)], { useLibraries: true });
  expect(outcomes).toEqual(["NAR_SIZE_MISMATCH"]);
  expect(growth).toBeLessThan(maxGrowth);
});

test("a directory of 1,000,000 entries becomes a layer, in no more memory", async () => {
  const path = pathOf("entries");
  const nar = manyEntries(1000);
  const fields = signedNar(path, nar());
  const url = await cacheDirectory(cacheFiles([[path, { fields: { ...fields, compression: "zstd" } }]]));
  const file = join(fileURLToPath(url), `nar/${storeHash(path)}.nar`);
  await pipeline(
    Readable.from(nar(), { objectMode: false }),
    zlib.createZstdCompress(),
    createWriteStream(file),
  );
  const { outcomes, messages, growth } = await convertFrom(url, [pathImage(path)], { useLibraries: true });
  expect(outcomes, messages.join()).toEqual(["made"]);
  // Its NAR has 192 MB, its layer 512 MB.
  expect(growth).toBeLessThan(160 * mebibyte);
});

/** The fields of a narinfo that says so of its NAR, with a signature over that. */
function signedSize(storePath: StorePath, narSize: number, hash = createHash("sha256")): NarInfoFields {
  const narHash = formatNarHash(hash.digest());
  const signed = { storePath, narHash, narSize, references: [] };
  return { ...signed, signatures: [signer.sign(signed)] };
}

function signedNar(storePath: StorePath, nar: Iterable<Uint8Array>): NarInfoFields {
  const hash = createHash("sha256");
  let narSize = 0;
  for (const piece of nar) {
    hash.update(piece);
    narSize += piece.length;
  }
  return signedSize(storePath, narSize, hash);
}

/** The NAR of a directory of so many thousands of symlinks, in pieces. */
function manyEntries(thousands: number): () => Generator<Buffer> {
  const entry = Buffer.concat([
    narStrings("entry", "(", "name", "0000000", "node"),
    narStrings("(", "type", "symlink", "target", "x", ")", ")"),
  ]);
  const name = entry.indexOf("0000000");
  return function* () {
    yield head("directory");
    for (let thousand = 0; thousand < thousands; thousand++) {
      const piece = Buffer.alloc(1000 * entry.length, entry);
      for (let one = 0; one < 1000; one++)
        piece.write(String(thousand * 1000 + one).padStart(7, "0"), one * entry.length + name, "latin1");
      yield piece;
    }
    yield narString(")");
  };
}

/** So many empty files, each with a path of 16 KiB. */
function deepFiles(count: number): Buffer {
  const files = Array.from({ length: count }, (_, index) => [
    Buffer.from(`f${String(index).padStart(6, "0")}`),
    { type: "regular", contents: Buffer.of() } as const,
  ]) as unknown as [Buffer, NarNode][];
  let node: NarNode = { type: "directory", entries: files };
  for (let depth = 0; depth < 62; depth++) node = directory({ ["d".repeat(255)]: node });
  return writeNar(node);
}
