import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { mkdtemp, open, readFile, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";

import { addNar } from "../../src/image/layer.ts";
import { type Layer, LayerWriter } from "../../src/image/layer-writer.ts";
import { formatNarHash } from "../../src/nix/hash.ts";
import { encodeNix32 } from "../../src/nix/nix32.ts";
import type { NarLocation } from "../../src/resolver/nar-location.ts";
import { demoNarInfos, readDemoNar } from "../nix/demo-cache.ts";
import { cut } from "../nix/nar-recorder.ts";
import { directory, file } from "../nix/nar-samples.ts";
import { anyTree } from "../nix/nar-trees.ts";
import { type NarNode, writeNar } from "../nix/nar-writer.ts";
import { pathOf } from "../resolver/fake-store.ts";
import { failureOf } from "../resolver/fixture.ts";
import { below, belowRoot, digestOf, type FileEntry, unpackLayer, unpackNar } from "./files.ts";

const storePath = pathOf("subject");
const noAddresses: readonly string[] = [];

const place = await mkdtemp(join(tmpdir(), "nix-closure-layer-"));
afterAll(() => rm(place, { recursive: true }));
let files = 0;

interface Made extends Layer {
  readonly bytes: Buffer;
}

/** Makes a layer of one NAR in chunks of these sizes. */
async function makeLayer(
  nar: Buffer,
  options: {
    readonly name?: string;
    readonly chunks?: readonly number[];
    readonly location?: Partial<NarLocation>;
    readonly contentAddresses?: readonly string[];
  } = {},
): Promise<Made> {
  const { name = "", chunks = [65_536], contentAddresses = noAddresses } = options;
  const path = join(place, String(++files));
  await using handle = await open(path, "wx");
  const writer = new LayerWriter(handle, async () => undefined);
  const source = (async function* () {
    yield* cut(nar, chunks);
  })();
  await addNar(writer, source, { ...locationOf(nar), ...options.location }, { name, contentAddresses });
  const layer = await writer.finish();
  const bytes = await readFile(path);
  await unlink(path);
  return { ...layer, bytes };
}

function locationOf(nar: Buffer): NarLocation {
  return {
    cache: "https://cache.example",
    url: "https://cache.example/x.nar",
    compression: "none",
    storePath,
    narHash: formatNarHash(createHash("sha256").update(nar).digest()),
    narSize: nar.length,
  };
}

function hasWhiteout(tree: NarNode): boolean {
  if (tree.type !== "directory") return false;
  return [...tree.entries].some(
    ([name, node]) => name.subarray(0, 4).toString() === ".wh." || hasWhiteout(node),
  );
}

describe("a layer", () => {
  it("holds every file of the NAR, whatever its name, and nothing else", async () => {
    await fc.assert(
      fc.asyncProperty(
        anyTree.filter((tree) => !hasWhiteout(tree)),
        fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 3 }),
        async (tree, chunks) => {
          const nar = writeNar(tree);
          const expected = unpackNar(nar);
          const whole = await makeLayer(nar, { name: "hash-name", chunks });
          expect(unpackLayer(whole.bytes)).toEqual(below("hash-name", expected));
          expect(whole.size).toBe(whole.bytes.length);
          expect(whole.digest).toBe(`sha256:${createHash("sha256").update(whole.bytes).digest("hex")}`);
          if (tree.type !== "directory") return;
          const { bytes } = await makeLayer(nar, { chunks });
          expect(unpackLayer(bytes)).toEqual(belowRoot(expected));
        },
      ),
      { numRuns: 150 },
    );
  });

  it("is unpacked by GNU tar to the files of the NAR", async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        anyTree.filter((tree) => tree.type === "directory" && !hasWhiteout(tree)),
        async (tree) => {
          const nar = writeNar(tree);
          const { bytes } = await makeLayer(nar);
          const archive = join(place, `${++run}.tar`);
          await writeFile(archive, bytes);
          const target = join(place, `${run}.unpacked`);
          mkdirSync(target);
          const tar = spawnSync("tar", ["-xpf", archive, "-C", target, "--no-same-owner"]);
          expect(tar.status, tar.stderr.toString()).toBe(0);
          expect(readTree(Buffer.from(target), "")).toEqual(byPath(belowRoot(unpackNar(nar))));
        },
      ),
      { numRuns: 25 },
    );
  });

  it("of every path of the demo's cache holds its files", async () => {
    for (const info of demoNarInfos()) {
      const nar = readDemoNar(info);
      const { narHash, narSize } = info;
      const { bytes } = await makeLayer(nar, { name: "p", location: { narHash, narSize } });
      expect(unpackLayer(bytes), info.storePath).toEqual(below("p", unpackNar(nar)));
    }
  });

  it("does not depend on the chunks in which the NAR came", async () => {
    const info = demoNarInfos().find(({ narSize }) => narSize > 1_000_000)!;
    const nar = readDemoNar(info);
    const digests = new Set<string>();
    for (const chunks of [[nar.length], [262_144], [65_536, 1], [8_191, 8_192, 8_193]]) {
      digests.add((await makeLayer(nar, { chunks })).digest);
    }
    expect(digests.size).toBe(1);
  });
});

describe("what is refused", () => {
  const nar = writeNar(directory({ a: file, b: { type: "regular", contents: Buffer.alloc(5000, 1) } }));

  it("another hash", async () => {
    const other = formatNarHash(Buffer.alloc(32, 7));
    const error = await failureOf(makeLayer(nar, { location: { narHash: other } }));
    expect(error.code).toBe("NAR_HASH_MISMATCH");
    expect(error.message).toContain(other);
    expect(error.message).toContain(locationOf(nar).narHash);
    expect(error.message).toContain(storePath);
  });

  it("fewer bytes than NarSize says", async () => {
    const error = await failureOf(makeLayer(nar, { location: { narSize: nar.length + 8 } }));
    expect(error.code).toBe("NAR_SIZE_MISMATCH");
    expect(error.message).toContain(`only ${nar.length}`);
  });

  it("more bytes than NarSize says, before they are read", async () => {
    let given = 0;
    const zeros = (async function* () {
      yield nar.subarray(0, 64);
      for (;;) {
        given++;
        yield Buffer.alloc(1000);
      }
    })();
    await using handle = await open(join(place, String(++files)), "wx");
    const writer = new LayerWriter(handle, async () => undefined);
    const location = { ...locationOf(nar), narSize: 64 };
    const added = addNar(writer, zeros, location, { name: "", contentAddresses: [] });
    expect((await failureOf(added)).code).toBe("NAR_SIZE_MISMATCH");
    expect(given).toBe(1);
  });

  it.each([1, 16, 100, nar.length - 8, nar.length - 1])("a NAR that ends after %i bytes", async (length) => {
    const short = nar.subarray(0, length);
    const error = await failureOf(makeLayer(short, { location: locationOf(short) }));
    expect(error.code).toBe("NAR_INVALID");
  });

  it("a NAR with bytes after its end", async () => {
    const long = Buffer.concat([nar, Buffer.alloc(8)]);
    expect((await failureOf(makeLayer(long, { location: locationOf(long) }))).code).toBe("NAR_INVALID");
  });

  it.each([
    [".wh.a", directory({ ".wh.a": file })],
    [".wh..wh..opq", directory({ ".wh..wh..opq": file })],
    ["d/.wh.x", directory({ d: directory({ ".wh.x": directory({}) }) })],
    [".wh.", directory({ ".wh.": { type: "symlink", target: Buffer.from("x") } })],
  ])("%s, which would delete a file", async (name, tree) => {
    for (const place of ["", "hash-name"]) {
      const error = await failureOf(makeLayer(writeNar(tree), { name: place }));
      expect(error.code).toBe("WHITEOUT_NAME");
      expect(error.message).toContain(JSON.stringify(name));
    }
  });

  it.each([".wha", "wh.a", "a.wh.b", ".w"])("%s is not", async (name) => {
    await makeLayer(writeNar(directory({ [name]: file })));
  });

  it.each([
    ["file", file],
    ["symlink", { type: "symlink", target: Buffer.from("x") } as const],
  ])("a %s as an image of its own, in words", async (word, tree) => {
    const error = await failureOf(makeLayer(writeNar(tree)));
    expect(error.code).toBe("NOT_A_DIRECTORY");
    expect(error.message).toContain(`${storePath} is a ${word}`);
    await makeLayer(writeNar(tree), { name: "hash-name" });
  });
});

describe("a content address that stands for a signature", () => {
  const contents = Buffer.from("hello\n");
  const plain = writeNar({ type: "regular", contents });
  const executable = writeNar({ type: "regular", executable: true, contents });
  const tree = writeNar(directory({ a: file }));
  const link = writeNar({ type: "symlink", target: contents });
  const hash = (algorithm: string, bytes: Uint8Array): string =>
    `${algorithm}:${encodeNix32(createHash(algorithm).update(bytes).digest())}`;

  it.each<[string, Buffer, string]>([
    ["flat sha256", plain, `fixed:${hash("sha256", contents)}`],
    ["flat sha1", plain, `fixed:${hash("sha1", contents)}`],
    ["flat sha512", plain, `fixed:${hash("sha512", contents)}`],
    ["flat md5", plain, `fixed:${hash("md5", contents)}`],
    ["text", plain, `text:${hash("sha256", contents)}`],
    ["recursive sha256 of a file", plain, `fixed:r:${hash("sha256", plain)}`],
    ["recursive sha256 of a directory", tree, `fixed:r:${hash("sha256", tree)}`],
    ["recursive sha1 of an executable", executable, `fixed:r:${hash("sha1", executable)}`],
    ["recursive sha512 of a symlink", link, `fixed:r:${hash("sha512", link)}`],
  ])("%s fits its content, and no other", async (_, nar, contentAddress) => {
    const contentAddresses = [contentAddress];
    await makeLayer(nar, { name: "p", contentAddresses, chunks: [7] });
    for (const other of [
      writeNar({ type: "regular", contents: Buffer.from("other\n") }),
      writeNar(directory({})),
    ]) {
      const error = await failureOf(makeLayer(other, { name: "p", contentAddresses }));
      expect(error.code).toBe("CONTENT_ADDRESS_MISMATCH");
      expect(error.message).toContain(storePath);
    }
  });

  it.each<[string, Buffer, string]>([
    ["an executable", executable, "an executable file"],
    ["a directory that holds the file", tree, "a directory"],
    ["a symlink", link, "a symlink"],
  ])("flat and text are not for %s", async (_, nar, what) => {
    for (const [method, kind] of [
      ["flat", "fixed"],
      ["text", "text"],
    ]) {
      const contentAddress = `${kind}:${hash("sha256", contents)}`;
      const error = await failureOf(makeLayer(nar, { name: "p", contentAddresses: [contentAddress] }));
      expect(error.code).toBe("CONTENT_ADDRESS_MISMATCH");
      expect(error.message).toContain(`is ${what}, and its content address (${method}) covers no more than`);
    }
  });

  it("all of several are checked", async () => {
    const good = `fixed:${hash("sha256", contents)}`;
    const bad = `fixed:r:${hash("sha256", contents)}`;
    await makeLayer(plain, { name: "p", contentAddresses: [good] });
    const made = makeLayer(plain, { name: "p", contentAddresses: [good, bad] });
    expect((await failureOf(made)).code).toBe("CONTENT_ADDRESS_MISMATCH");
  });
});

describe("a layer that is taken back to a checkpoint", () => {
  it("is as if nothing had been added after it", async () => {
    const parts = fc.array(fc.uint8Array({ maxLength: 20_000, size: "max" }), { maxLength: 20, size: "max" });
    await fc.assert(
      fc.asyncProperty(parts, parts, parts, async (before, dropped, after) => {
        const path = join(place, String(++files));
        const handle = await open(path, "wx");
        const writer = new LayerWriter(handle, async () => undefined);
        const put = async (pieces: readonly Uint8Array[]): Promise<void> => {
          for (const piece of pieces) {
            writer.put(piece);
            await writer.drain();
          }
        };
        await put(before);
        const checkpoint = writer.checkpoint();
        await put(dropped);
        await writer.rollBack(checkpoint);
        await put(dropped);
        await writer.rollBack(checkpoint);
        await put(after);
        const layer = await writer.finish();
        await handle.close();
        const expected = Buffer.concat([...before, ...after, Buffer.alloc(1024)]);
        expect((await readFile(path)).equals(expected)).toBe(true);
        expect(layer).toEqual({
          digest: `sha256:${createHash("sha256").update(expected).digest("hex")}`,
          size: expected.length,
        });
      }),
      { numRuns: 30 },
    );
  });
});

/** The files below a directory, by what the file system says of them. */
function readTree(root: Buffer, path: string): FileEntry[] {
  const at = (relative: string): Buffer => Buffer.concat([root, Buffer.from(`/${relative}`, "latin1")]);
  const entries = readdirSync(at(path), { encoding: "buffer" }).flatMap((name): FileEntry[] => {
    const child = path === "" ? name.toString("latin1") : `${path}/${name.toString("latin1")}`;
    const { mode, mtimeMs } = lstatSync(at(child));
    const base = { path: child, mode: mode & 0o7777 };
    if ((mode & 0o170000) === 0o120000) {
      return [
        { ...base, type: "symlink", content: digestOf(readlinkSync(at(child), { encoding: "buffer" })) },
      ];
    }
    if ((mode & 0o170000) === 0o100000) {
      expect(mtimeMs).toBe(1000);
      return [{ ...base, type: "regular", content: digestOf(readFileSync(at(child))) }];
    }
    return [{ ...base, type: "directory", content: "" }, ...readTree(root, child)];
  });
  return path === "" ? byPath(entries) : entries;
}

function byPath(entries: readonly FileEntry[]): FileEntry[] {
  return entries.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}
