import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import zlib from "node:zlib";

import { expect, test } from "vitest";

import { formatNarHash, type NarHash } from "../../src/nix/hash.ts";
import { storeHash } from "../../src/nix/store-path.ts";
import { launcher } from "../cli/child-process.ts";
import { compileCache } from "../compile-cache.ts";
import { cacheDirectory } from "../image/images-fixture.ts";
import { directory } from "../nix/nar-samples.ts";
import { writeNar } from "../nix/nar-writer.ts";
import { narInfoOf, pathOf, signer } from "../resolver/fake-store.ts";
import { MemoryRegistry } from "./memory-registry.ts";
import { Pusher } from "./pusher.ts";

const megabyte = 2 ** 20;
const contentSize = 384 * megabyte;
const [root, large] = [pathOf("root"), pathOf("large")];

/** The NAR of a directory with one large executable, in pieces; a tenth of it cannot be compressed. */
function* largeNar(): Generator<Buffer, void, undefined> {
  const small = writeNar(
    directory({ program: { type: "regular", executable: true, contents: Buffer.alloc(8, "x") } }),
  );
  const at = small.indexOf("xxxxxxxx");
  const head = Buffer.from(small.subarray(0, at));
  head.writeBigUInt64LE(BigInt(contentSize), at - 8);
  yield head;
  for (let number = 0; number < contentSize / megabyte; number++) {
    const page = Buffer.alloc(megabyte);
    for (let place = 0; place < megabyte / 10; place += 32) {
      createHash("sha256").update(`${number} ${place}`).digest().copy(page, place);
    }
    yield page;
  }
  yield small.subarray(at + 8);
}

/** A cache with the large path, and a root that needs it. */
async function largeCache(): Promise<string> {
  const hash = createHash("sha256");
  let narSize = 0;
  for (const piece of largeNar()) {
    hash.update(piece);
    narSize += piece.length;
  }
  const narHash: NarHash = formatNarHash(hash.digest());
  const signed = { storePath: large, narHash, narSize, references: [] };
  const fields = { ...signed, compression: "zstd", signatures: [signer.sign(signed)] };
  const cache = await cacheDirectory(
    new Map([
      [`${storeHash(root)}.narinfo`, narInfoOf(root, { references: [large] })],
      [`nar/${storeHash(root)}.nar`, writeNar({ type: "directory", entries: [] })],
      [`${storeHash(large)}.narinfo`, narInfoOf(large, { fields })],
    ]),
  );
  const file = join(fileURLToPath(cache), `nar/${storeHash(large)}.nar`);
  const compressor = zlib.createZstdCompress();
  await pipeline(Readable.from(largeNar(), { objectMode: false }), compressor, createWriteStream(file));
  return cache;
}

/** Says at the end how much memory there was at most, in KiB. */
const hook = `data:text/javascript,process.on("exit",()=>console.error("maxRSS "+process.resourceUsage().maxRSS))`;

test("a push takes 200 MiB, whatever the size of the closure", async () => {
  const registry = await MemoryRegistry.start();
  const pusher = await Pusher.make(registry);
  const from = ["--from", await largeCache(), "--public-key", signer.publicKey];
  // The large path is in an image of its own and in the store image, and both are made at the same time.
  const args = [root, ...from, "--plan", "1", "--system", "x86_64-linux"];
  const child = spawn(process.execPath, ["--import", hook, launcher, ...pusher.words(args)], {
    env: { ...process.env, ...pusher.env, NODE_COMPILE_CACHE: compileCache },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  const [code] = (await once(child, "close")) as [number];
  expect(code, said).toBe(0);
  expect(registry.broken("nix")).toEqual([]);
  const [, kibibytes = "0"] = /^maxRSS (\d+)$/m.exec(said) ?? [];
  expect(Number(kibibytes)).toBeGreaterThan(50 * 1024);
  expect(Number(kibibytes)).toBeLessThan(200 * 1024);
});
