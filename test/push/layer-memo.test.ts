import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { describe, expect, test } from "vitest";

import { sha256Digest } from "../../src/oci/digest.ts";
import { LayerMemo } from "../../src/push/layer-memo.ts";
import { temporaryDirectory } from "../resolver/fixture.ts";

const secret = Buffer.from("secret");
const [digest, diffID] = [sha256Digest(Buffer.from("blob")), sha256Digest(Buffer.from("tar"))];
const layer = { compression: "zstd", digest, size: 4, diffID, machine: "x86_64" } as const;

async function openMemo(options: { directory?: string; secret?: Uint8Array } = {}) {
  const directory = options.directory ?? join(await temporaryDirectory(), "layers");
  return { directory, memo: new LayerMemo(directory, options.secret ?? secret) };
}

test("a layer is found under its key, with the places that had it", async () => {
  const { memo, directory } = await openMemo();
  expect(await memo.find("key")).toBeUndefined();
  await memo.remember("key", layer);
  expect(await memo.find("key")).toEqual({ ...layer, places: [] });
  await memo.addPlace("key", "host/a");
  await memo.addPlace("key", "host/b");
  await memo.addPlace("key", "host/a");
  await memo.addPlace("other", "host/a");
  expect((await memo.find("key"))?.places).toEqual(["host/b", "host/a"]);
  expect(await memo.find("other")).toBeUndefined();
  await memo.remember("key", layer);
  expect((await memo.find("key"))?.places, "made again, the same").toEqual(["host/b", "host/a"]);
  await memo.remember("key", { ...layer, digest: diffID });
  expect((await memo.find("key"))?.places, "another blob was nowhere yet").toEqual([]);
  expect(await readdir(directory)).toHaveLength(1);
  expect(memo.failure).toBeUndefined();
});

test("of places, the last few are kept", async () => {
  const { memo } = await openMemo();
  await memo.remember("key", layer);
  for (let at = 0; at < 20; at++) await memo.addPlace("key", `host/${at}`);
  const places = (await memo.find("key"))?.places ?? [];
  expect(places).toHaveLength(8);
  expect(places.at(-1)).toBe("host/19");
});

describe("an entry is as good as none", () => {
  async function entry(): Promise<{ memo: LayerMemo; file: string; text: string; directory: string }> {
    const { memo, directory } = await openMemo();
    await memo.remember("key", layer);
    const [name = ""] = await readdir(directory);
    const file = join(directory, name);
    return { memo, file, directory, text: await readFile(file, "utf8") };
  }

  test.for<[string, (text: string) => string]>([
    ["that is empty", () => ""],
    ["that is cut off", (text) => text.slice(0, -5)],
    ["with another digest", (text) => text.replace(digest, sha256Digest(Buffer.from("evil")))],
    ["with something behind it", (text) => `${text}x`],
    ["without its code", (text) => `\n${text.split("\n")[1]}\n`],
    ["that is not text", () => "\u0000\u0001\n\n"],
  ])("%s", async ([, damage]) => {
    const { memo, file, text } = await entry();
    await writeFile(file, damage(text));
    expect(await memo.find("key")).toBeUndefined();
    await memo.remember("key", layer);
    expect(await memo.find("key")).toBeDefined();
  });

  test("of another key under this one's name", async () => {
    const { memo, file, directory } = await entry();
    await memo.remember("second", { ...layer, size: 5 });
    const other = (await readdir(directory))
      .map((name) => join(directory, name))
      .find((name) => name !== file);
    await writeFile(file, await readFile(other!));
    expect(await memo.find("key")).toBeUndefined();
  });

  test("of somebody without the secret, who does not overwrite it either", async () => {
    const { memo, directory, text, file } = await entry();
    for (const foreign of [new Uint8Array(), Buffer.from("other")]) {
      const { memo: other } = await openMemo({ directory, secret: foreign });
      expect(await other.find("key")).toBeUndefined();
      await other.remember("key", { ...layer, size: 7 });
      expect(await other.find("key")).toMatchObject({ size: 7 });
    }
    expect(await readFile(file, "utf8")).toBe(text);
    expect(await memo.find("key")).toMatchObject({ size: 4 });
  });
});

test("where nothing can be written, that is told, and is no failure", async () => {
  const { memo, directory } = await openMemo();
  await mkdir(join(directory, ".."), { recursive: true });
  await writeFile(directory, "a file");
  await memo.remember("key", layer);
  expect(memo.failure).toBeInstanceOf(Error);
  expect(await memo.find("key")).toBeUndefined();
});

test("writers at the same time leave a whole entry", async () => {
  const { directory } = await openMemo();
  const memos = Array.from({ length: 8 }, () => new LayerMemo(directory, secret));
  await Promise.all(memos.map(async (memo) => memo.remember("key", layer)));
  await Promise.all(memos.map(async (memo, at) => memo.addPlace("key", `host/${at}`)));
  expect(await memos[0]!.find("key")).toMatchObject(layer);
  expect(await readdir(directory)).toHaveLength(1);
});
