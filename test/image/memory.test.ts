import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import zlib from "node:zlib";

import { expect, it } from "vitest";

import { formatNarHash, type NarHash } from "../../src/nix/hash.ts";
import { storeHash } from "../../src/nix/store-path.ts";
import { writeNar } from "../nix/nar-writer.ts";
import { directory } from "../nix/nar-samples.ts";
import { narInfoOf, pathOf, signer } from "../resolver/fake-store.ts";
import { temporaryDirectory } from "../resolver/fixture.ts";
import { runChild } from "./child.ts";
import { cacheDirectory, pathImage } from "./images-fixture.ts";

const path = pathOf("large");
const megabyte = 2 ** 20;
const contentSize = 512 * megabyte;

/** The NAR of a directory with one large executable, in pieces. */
function* largeNar(): Generator<Buffer, void, undefined> {
  const small = writeNar(
    directory({ program: { type: "regular", executable: true, contents: Buffer.alloc(8, "x") } }),
  );
  const at = small.indexOf("xxxxxxxx");
  const head = Buffer.from(small.subarray(0, at));
  head.writeBigUInt64LE(BigInt(contentSize), at - 8);
  yield head;
  const page = Buffer.alloc(megabyte);
  // Each page another one, and yet soon compressed.
  for (let number = 0; number < contentSize / megabyte; number++) {
    page.writeUInt32LE(number, number % 1000);
    yield Buffer.from(page);
  }
  yield small.subarray(at + 8);
}

const narInfo = ((): { readonly narHash: NarHash; readonly narSize: number } => {
  const hash = createHash("sha256");
  let narSize = 0;
  for (const piece of largeNar()) {
    hash.update(piece);
    narSize += piece.length;
  }
  return { narHash: formatNarHash(hash.digest()), narSize };
})();

it.each([
  ["zstd", (): zlib.ZstdCompress => zlib.createZstdCompress()],
  ["gzip", (): zlib.Gzip => zlib.createGzip({ level: 1 })],
] as const)("a large NAR in %s takes no more memory than a small one", async (compression, compressor) => {
  const signed = { ...narInfo, storePath: path, references: [] };
  const fields = { ...signed, compression, signatures: [signer.sign(signed)] };
  const cache = await cacheDirectory(
    new Map([
      [`${storeHash(path)}.narinfo`, narInfoOf(path, { fields })],
      ["nar/README", Buffer.of()],
    ]),
  );
  const file = join(fileURLToPath(cache), `nar/${storeHash(path)}.nar`);
  await pipeline(Readable.from(largeNar(), { objectMode: false }), compressor(), createWriteStream(file));

  const answer = await runChild({
    cache,
    publicKey: signer.publicKey,
    directory: join(await temporaryDirectory(), "store"),
    maxBytes: 2 ** 30,
    useLibraries: true,
    images: [pathImage(path)],
  });
  expect(answer.layers).toHaveLength(1);
  expect(answer.growth).toBeLessThan(160 * megabyte);
});
