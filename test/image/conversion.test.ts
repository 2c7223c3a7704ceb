import { readFileSync } from "node:fs";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { MessageChannel } from "node:worker_threads";
import zlib from "node:zlib";

import { Piscina } from "piscina";
import { describe, expect, it, onTestFinished } from "vitest";

import type { ConversionResult, ConversionTask } from "../../src/image/conversion-task.ts";

import { storeHash, type StorePath } from "../../src/nix/store-path.ts";
import { demoKey } from "../nix/demo-cache.ts";
import { directory, file } from "../nix/nar-samples.ts";
import { type NarNode, writeNar } from "../nix/nar-writer.ts";
import { CacheServer } from "../resolver/cache-server.ts";
import { cacheFiles, type FakePath, pathOf } from "../resolver/fake-store.ts";
import { demoDirectory, failureOf, temporaryDirectory, until } from "../resolver/fixture.ts";
import { brotli, bzip2, gzip, programs, xz, zstd, zstdFrames } from "../compression/compress.ts";
import { belowRoot, unpackLayer, unpackNar } from "./files.ts";
import { cacheDirectory, imagesOf, pathImage, pull, resolverFor, storeImage } from "./images-fixture.ts";
import { filesIn } from "./store-fixture.ts";

const app = pathOf("app");

/** A tree of so many files, of different sizes. */
function treeOf(count: number, size: number): NarNode {
  const files: Record<string, NarNode> = {};
  for (let number = 0; number < count; number++) {
    const contents = Buffer.alloc(number === 0 ? size : number % 700, `file ${number} `);
    files[`file-${String(number).padStart(5, "0")}`] = { type: "regular", contents };
  }
  return directory(files);
}

interface Form {
  readonly form: string;
  readonly compression: string;
  readonly compress: (nar: Buffer) => Buffer;
}

const missingPrograms = {
  ...(programs.xz === undefined && { xz: true }),
  ...(programs.bzip2 === undefined && { bzip2: true }),
};

async function cacheOf(options: FakePath, bytes?: Uint8Array, path: StorePath = app): Promise<string> {
  const files = cacheFiles([[path, options]]);
  if (bytes !== undefined) files.set(`nar/${storeHash(path)}.nar`, bytes);
  return cacheDirectory(files);
}

describe("a NAR in any compression", () => {
  const halves = (nar: Buffer): readonly [Buffer, Buffer] => {
    const half = Math.floor(nar.length / 2);
    return [nar.subarray(0, half), nar.subarray(half)];
  };
  const twice =
    (compress: (data: Buffer) => Buffer) =>
    (nar: Buffer): Buffer =>
      Buffer.concat(halves(nar).map((part) => compress(part)));
  const all: readonly Form[] = [
    { form: "plain", compression: "none", compress: (nar) => nar },
    { form: "zstd", compression: "zstd", compress: (nar) => zstd(nar) },
    { form: "zstd of many frames", compression: "zstd", compress: (nar) => zstdFrames(nar, 100_000) },
    { form: "gzip", compression: "gzip", compress: gzip },
    { form: "gzip of two members", compression: "gzip", compress: twice(gzip) },
    { form: "br", compression: "br", compress: brotli },
    { form: "xz", compression: "xz", compress: (nar) => xz(nar) },
    { form: "xz of two streams", compression: "xz", compress: twice((nar) => xz(nar)) },
    { form: "bzip2", compression: "bzip2", compress: (nar) => bzip2(nar) },
    { form: "bzip2 of two streams", compression: "bzip2", compress: twice((nar) => bzip2(nar)) },
  ];
  const forms = all.filter(({ compression }) => !(compression in missingPrograms));

  it("gives its files, the same by programs and by libraries", async () => {
    // More than what is left to the library, so that programs are used; each with a hash of its own.
    const subjects = forms.map(({ form, compression, compress }) => {
      const nar = writeNar(directory({ [form]: treeOf(100, 1_200_000) }));
      return { path: pathOf(form.replaceAll(" ", "-")), nar, compression, bytes: compress(nar) };
    });
    const files = cacheFiles(
      subjects.map(({ path, nar, compression }) => [path, { nar, fields: { compression } }]),
    );
    for (const { path, bytes } of subjects) files.set(`nar/${storeHash(path)}.nar`, bytes);
    const resolver = resolverFor({ main: [await cacheDirectory(files)] });
    const digests: string[][] = [];
    for (const using of [programs, {}]) {
      const { images } = await imagesOf(resolver, { programs: using });
      const pulled = await Promise.all(subjects.map(async ({ path }) => pull(images, pathImage(path))));
      for (const [number, { layer }] of pulled.entries()) {
        expect(unpackLayer(layer)).toEqual(belowRoot(unpackNar(subjects[number]!.nar)));
      }
      digests.push(pulled.map(({ layerDigest }) => layerDigest));
    }
    expect(digests[0]).toEqual(digests[1]);
    expect(new Set(digests[0]).size).toBe(forms.length);
  });
});

describe("a bomb", () => {
  it("is stopped as soon as it has more bytes than its narinfo says", async () => {
    const nar = writeNar(directory({ zeros: { type: "regular", contents: Buffer.alloc(1000) } }));
    const start = nar.subarray(0, nar.length - 1000);
    // 4 GB of zeros in some 130 kB.
    const frame = zstd(Buffer.alloc(64 * 2 ** 20));
    const bomb = Buffer.concat([zstd(start), ...Array.from({ length: 64 }, () => frame)]);
    const url = await cacheOf({ nar, fields: { compression: "zstd" } }, bomb);
    for (const using of [programs, {}]) {
      const { images, directory: place } = await imagesOf(resolverFor({ main: [url] }), { programs: using });
      expect((await failureOf(images.resolveTag(...pathImage(app)))).code).toBe("NAR_SIZE_MISMATCH");
      expect(await filesIn(place)).toEqual([]);
    }
  });
});

describe("a layer that is larger than its NAR", () => {
  const nar = writeNar(treeOf(5000, 10));
  const exact = async (): Promise<number> => {
    const { images } = await imagesOf(resolverFor({ main: [await cacheOf({ nar })] }));
    return (await pull(images, pathImage(app))).layer.length;
  };

  it("is made where it just fits, and refused where it does not", async () => {
    const size = await exact();
    expect(size).toBeGreaterThan(2 * nar.length);
    const url = await cacheOf({ nar });
    const fits = await imagesOf(resolverFor({ main: [url] }), { maxBytes: size });
    await pull(fits.images, pathImage(app));
    expect(fits.observer.size).toEqual({ bytes: size, blobs: 1 });
    const { images, directory: place } = await imagesOf(resolverFor({ main: [url] }), { maxBytes: size - 1 });
    const error = await failureOf(images.resolveTag(...pathImage(app)));
    expect(error).toMatchObject({ code: "BLOB_BUDGET_EXHAUSTED", status: 503 });
    expect(await filesIn(place)).toEqual([]);
  });

  it("makes room while it grows", async () => {
    const size = await exact();
    const old = pathOf("old");
    const oldNar = writeNar(directory({ a: { type: "regular", contents: Buffer.alloc(1_000_000) } }));
    const files = cacheFiles([
      [app, { nar }],
      [old, { nar: oldNar }],
    ]);
    const { images, observer } = await imagesOf(resolverFor({ main: [await cacheDirectory(files)] }), {
      maxBytes: size + 500_000,
    });
    await pull(images, pathImage(old));
    await pull(images, pathImage(app));
    expect(observer.evicted).toHaveLength(1);
    expect(observer.size).toEqual({ bytes: size, blobs: 1 });
    // What was evicted is made again.
    await pull(images, pathImage(old));
  });
});

it("an image that is larger than the store is refused at once", async () => {
  const nar = writeNar(treeOf(1, 100_000));
  const { images } = await imagesOf(resolverFor({ main: [await cacheOf({ nar })] }), { maxBytes: 50_000 });
  const error = await failureOf(images.resolveTag(...pathImage(app)));
  expect(error.code).toBe("BLOB_BUDGET_EXHAUSTED");
});

it("many images through a store that holds two of them are all right", async () => {
  const demo = { caches: [pathToFileURL(demoDirectory).href], publicKeys: [demoKey] };
  const { images, resolver, observer } = await imagesOf(resolverFor({ main: demo }), {
    maxBytes: 32_000_000,
  });
  const root = "2xm8zk49wy4fsqr9jhsi4wdxwdlc308i" as never;
  const closure = await resolver.resolveHashes("main", [root]);
  const pulls = closure.paths.map(async ({ storePath }) => {
    for (let attempt = 0; ; attempt++) {
      try {
        return await pull(images, pathImage(storePath));
      } catch (error) {
        // Evicted between tag and blob, as the client of a small store sees it: it pulls again.
        if (attempt === 20 || !(error instanceof Error && /^no (blob|document)/.test(error.message)))
          throw error;
      }
    }
  });
  await Promise.all(pulls);
  expect(observer.size.bytes).toBeLessThanOrEqual(32_000_000);
  expect(observer.evicted.length).toBeGreaterThan(5);
});

it("a type that a cache lies about gives an error or a right image, never a wrong one", async () => {
  const [lied, honest] = [pathOf("lied"), pathOf("honest")];
  const files = cacheFiles([
    [app, { nar: writeNar(treeOf(3, 100)), references: [lied, honest] }],
    [lied, { nar: writeNar(file) }],
    [honest, { nar: writeNar(directory({ a: file })) }],
  ]);
  const listing = (type: string): Buffer =>
    Buffer.from(JSON.stringify({ version: 1, root: { type, entries: {} } }));
  files.set(`${storeHash(lied)}.ls`, listing("directory"));
  const { images, resolver } = await imagesOf(resolverFor({ main: [await cacheDirectory(files)] }));
  const closure = await resolver.resolve("main", [app]);
  const { layers } = await pull(images, storeImage(closure, "a"));
  // It says that each has a volume of its own; the one of the file is what fails.
  const entries = layers.flatMap(({ bytes }) => unpackLayer(bytes));
  expect(entries.map(({ type, mode }) => [type, mode])).toEqual([
    ["directory", 0o555],
    ["directory", 0o555],
    ["directory", 0o555],
  ]);
  expect((await failureOf(images.resolveTag(...pathImage(lied)))).code).toBe("NOT_A_DIRECTORY");
  await pull(images, storeImage(closure, "n"));
});

describe("a decompression program", () => {
  const nar = writeNar(treeOf(10, 2_000_000));

  /** A program that notes its process id and then does this. */
  async function program(
    script: string,
  ): Promise<{ readonly path: string; readonly pid: () => Promise<number> }> {
    const place = await temporaryDirectory();
    const path = join(place, "program");
    await writeFile(path, `#!/bin/sh\necho $$ > ${place}/pid\n${script}\n`);
    await chmod(path, 0o755);
    return {
      path,
      pid: async () => {
        for (;;) {
          const text = await readFile(join(place, "pid"), "utf8").catch(() => "");
          if (text.endsWith("\n")) return Number(text);
          await delay(5);
        }
      },
    };
  }

  /** A process that has ended but whom nobody has asked how does not run. */
  const isRunning = (pid: number): boolean => {
    try {
      return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
    } catch {
      return false;
    }
  };

  it("does not outlive the end of its images", async () => {
    const url = await cacheOf({ nar, fields: { compression: "xz" } }, gzip(nar));
    const { path, pid } = await program("exec sleep 1000");
    const { images, directory: place } = await imagesOf(resolverFor({ main: [url] }), {
      programs: { xz: path },
    });
    const waiting = failureOf(images.resolveTag(...pathImage(app)));
    const running = await pid();
    expect(isRunning(running)).toBe(true);
    await images.close();
    expect((await waiting).code).toBe("SHUTTING_DOWN");
    expect(isRunning(running)).toBe(false);
    expect(await filesIn(place)).toEqual([]);
  });

  it.skipIf(programs.xz === undefined)("ends when its thread is ended by force", async () => {
    const files = cacheFiles([[app, { nar, fields: { compression: "xz" } }]]);
    const server = await CacheServer.start(files);
    server.answer(`nar/${storeHash(app)}.nar`, (response) => void response.write(xz(nar).subarray(0, 1000)));
    const { path, pid } = await program(`exec ${programs.xz} "$@"`);
    const locations = await resolverFor({ main: [server.url] }).narLocations("main", app);
    const pool = new Piscina<ConversionTask, ConversionResult>({
      filename: fileURLToPath(new URL("../../src/image/conversion-worker.ts", import.meta.url)),
      name: "convert",
    });
    onTestFinished(() => pool.destroy());
    const { port2: port } = new MessageChannel();
    const part = { name: "", storePath: app, locations, contentAddresses: [] } as const;
    const task = { file: join(await temporaryDirectory(), "layer"), parts: [part], programs: { xz: path } };
    const abort = new AbortController();
    const run = pool.run({ ...task, granted: 2 ** 30, port }, { transferList: [port], signal: abort.signal });
    const running = await pid();
    expect(isRunning(running)).toBe(true);
    abort.abort();
    await expect(run).rejects.toThrow();
    await until(() => !isRunning(running));
  });

  it("is killed when its output is wrong, though it goes on", async () => {
    const url = await cacheOf({ nar, fields: { compression: "xz" } }, gzip(nar));
    const { path, pid } = await program("exec cat /dev/zero");
    const { images } = await imagesOf(resolverFor({ main: [url] }), { programs: { xz: path } });
    expect((await failureOf(images.resolveTag(...pathImage(app)))).code).toBe("NAR_INVALID");
    expect(isRunning(await pid())).toBe(false);
  });

  it.each([
    ["exits with an error", "cat > /dev/null; echo 'first words' >&2; echo more >&2; exit 3", /first words$/],
    ["says something and exits with success", `cat ; echo 'odd data' >&2`, /odd data$/],
    ["is killed by the system", "kill -9 $$", /ended with SIGKILL$/],
    ["stops reading", "exec head -c 100 > /dev/null", /data after its end$/],
  ])("that %s makes the conversion fail with its first words", async (_, script, words) => {
    const url = await cacheOf({ nar, fields: { compression: "xz" } }, nar);
    const { path } = await program(script);
    const { images, directory: place } = await imagesOf(resolverFor({ main: [url] }), {
      programs: { xz: path },
    });
    const error = await failureOf(images.resolveTag(...pathImage(app)));
    expect(error.code).toBe("DECOMPRESSION_FAILED");
    expect(error.message).toMatch(words);
    expect(await filesIn(place)).toEqual([]);
  });

  it("is not changed by the environment", async () => {
    if (programs.xz === undefined) return;
    const url = await cacheOf({ nar, fields: { compression: "xz" } }, xz(nar));
    const before = process.env["XZ_OPT"];
    process.env["XZ_OPT"] = "--memlimit=1";
    try {
      const { images } = await imagesOf(resolverFor({ main: [url] }), { programs });
      await pull(images, pathImage(app));
    } finally {
      if (before === undefined) delete process.env["XZ_OPT"];
      else process.env["XZ_OPT"] = before;
    }
  });
});

it("a wrong Content-Encoding of a cache's making does not get through", async () => {
  const nar = writeNar(treeOf(10, 2_000));
  const url = await cacheOf({ nar, fields: { compression: "none" } }, zlib.gzipSync(nar));
  const { images } = await imagesOf(resolverFor({ main: [url] }));
  expect((await failureOf(images.resolveTag(...pathImage(app)))).code).toBe("NAR_INVALID");
});
