import { truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { expect, it } from "vitest";

import { shuttingDown } from "../../src/errors.ts";
import { openDecodedNar } from "../../src/image/decoded-nar.ts";
import type { NarHash } from "../../src/nix/hash.ts";
import type { NarLocation } from "../../src/resolver/nar-location.ts";
import { programs, zstd } from "../compression/compress.ts";
import { pathOf } from "../resolver/fake-store.ts";
import { temporaryDirectory } from "../resolver/fixture.ts";

const never = new AbortController().signal;

/** A NAR of so many bytes in a file cache. */
async function narOf(
  size: number,
  narSize = size,
): Promise<{ readonly location: NarLocation; readonly file: string }> {
  const directory = await temporaryDirectory();
  const file = join(directory, "some.nar.zst");
  await writeFile(file, zstd(Buffer.alloc(size, "some bytes ")));
  const location = {
    cache: "files",
    url: pathToFileURL(file).href,
    directory,
    storePath: pathOf("some"),
    compression: "zstd",
    narHash: "" as NarHash,
    narSize,
  };
  return { location, file };
}

async function sizeOf(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<number> {
  let size = 0;
  for await (const chunk of chunks) size += chunk.length;
  return size;
}

it("a small NAR is there as a whole before it is read", async () => {
  const { location, file } = await narOf(300_000);
  const nar = await openDecodedNar(location, never, { programs });
  await truncate(file);
  expect(await sizeOf(nar.chunks)).toBe(300_000);
  nar.destroy();
});

it("a large NAR is read as it is asked for", async () => {
  const size = 40 * 2 ** 20;
  const { location } = await narOf(size);
  const before = process.memoryUsage().arrayBuffers;
  const nar = await openDecodedNar(location, never, { programs });
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(size / 2);
  expect(await sizeOf(nar.chunks)).toBe(size);
  nar.destroy();
});

it.for([1, 1000, 3_000_000])(
  "of a NAR that is larger than it may be no more is kept than shows it: %i",
  async (narSize) => {
    const { location } = await narOf(3_000_001, narSize);
    const nar = await openDecodedNar(location, never, { programs });
    expect(await sizeOf(nar.chunks)).toBeGreaterThan(narSize);
    nar.destroy();
  },
);

it("a small NAR that is damaged fails when it is opened", async () => {
  const { location, file } = await narOf(300_000);
  await truncate(file, 20);
  await expect(openDecodedNar(location, never, { programs })).rejects.toMatchObject({
    code: "DECOMPRESSION_FAILED",
  });
});

it("nothing is opened for who is gone", async () => {
  const { location } = await narOf(300_000);
  const gone = AbortSignal.abort(shuttingDown());
  await expect(openDecodedNar(location, gone, { programs })).rejects.toMatchObject({ code: "SHUTTING_DOWN" });
});
