import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { formatNarHash, type NarHash } from "../src/nix/hash.ts";
import { storeHash, type StorePath } from "../src/nix/store-path.ts";
import { narString, narStrings, writeNar } from "../test/nix/nar-writer.ts";
import { createSigner, formatNarInfo } from "../test/nix/signer.ts";
import { cachedDirectory, cacheRoot } from "../test/programs/cache.ts";
import { directoryNar, narInfoOf } from "../test/resolver/fake-store.ts";
import { syntheticStorePath } from "./synthetic-paths.ts";

const signer = createSigner("bench-1");
/** A path of every such cache, an empty directory: with it threads are started. */
export const smallPath = syntheticStorePath("small");

/** What a NAR is compressed with: as Nix does it, but for xz, whose level 6 would take ten minutes for the larger one. */
const compressors = { zstd: ["zstd", "-q", "-3"], xz: ["xz", "-2"] } as const;
export type CompressionName = keyof typeof compressors;
export const compressionNames = Object.keys(compressors) as readonly CompressionName[];

/** A NAR in a binary cache of its own. */
export interface ConversionInput {
  /** Directory of the cache. */
  readonly cache: string;
  readonly publicKey: string;
  readonly storePath: StorePath;
  /** The compressed file. */
  readonly file: string;
  readonly narSize: number;
}

/**
 * A cache with one NAR of this machine's libraries and programs, made once.
 *
 * @param megabytes of the NAR, about: a multiple of the size of one piece
 * @param piece megabytes of files; a larger NAR has them again and again, farther apart than a decompressor sees
 */
export async function conversionInput(
  compression: CompressionName,
  megabytes: number,
  piece: number,
): Promise<ConversionInput> {
  const name = `conversion-${compression}-${megabytes}-1`;
  const storePath = syntheticStorePath(name);
  const url = `nar/${storeHash(storePath)}.nar.${compression}`;
  const cache = await cachedDirectory(join(cacheRoot, "bench", name), async (directory) => {
    await mkdir(join(directory, "nar"));
    await writeFile(join(directory, "nix-cache-info"), "StoreDir: /nix/store\n");
    const nar = join(directory, "plain.nar");
    await writePieces(nar, await systemFiles(piece * 1e6), megabytes / piece);
    const hash = createHash("sha256");
    await pipeline(createReadStream(nar), hash);
    const { size: narSize } = await stat(nar);
    const [program, ...args] = compressors[compression];
    const child = spawn(program, [...args, "-c", nar], { stdio: ["ignore", "pipe", "inherit"] });
    await pipeline(child.stdout, createWriteStream(join(directory, url)));
    if (child.exitCode === null) await once(child, "exit");
    if (child.exitCode !== 0) throw new Error(`${program} ended with ${child.exitCode}`);
    const signed = { narHash: formatNarHash(hash.digest()), narSize };
    await writeFile(join(directory, "nar.json"), JSON.stringify(signed));
    await rm(nar);
  });
  const { narHash, narSize } = JSON.parse(await readFile(join(cache, "nar.json"), "utf8")) as {
    readonly narHash: NarHash;
    readonly narSize: number;
  };
  const signed = { storePath, narHash, narSize, references: [] };
  const text = formatNarInfo({ ...signed, url, compression, signatures: [signer.sign(signed)] });
  await writeFile(join(cache, `${storeHash(storePath)}.narinfo`), text);
  await writeFile(join(cache, `nar/${storeHash(smallPath)}.nar`), directoryNar);
  await writeFile(join(cache, `${storeHash(smallPath)}.narinfo`), narInfoOf(smallPath, { signer }));
  return { cache, publicKey: signer.publicKey, storePath, file: join(cache, url), narSize };
}

/** A NAR whose root holds the same directory several times. */
async function writePieces(file: string, piece: Uint8Array, count: number): Promise<void> {
  const output = createWriteStream(file);
  const put = async (bytes: Uint8Array): Promise<void> => {
    if (!output.write(bytes)) await once(output, "drain");
  };
  await put(narStrings("nix-archive-1", "(", "type", "directory"));
  // The piece less the words that a NAR begins with.
  const node = piece.subarray(narString("nix-archive-1").length);
  for (let at = 0; at < count; at++) {
    await put(narStrings("entry", "(", "name", `piece-${String(at).padStart(4, "0")}`, "node"));
    await put(node);
    await put(narStrings(")"));
  }
  output.end(narStrings(")"));
  await once(output, "close");
}

/** Files of this machine, the largest ones left out, as a NAR of a directory. */
async function systemFiles(bytes: number): Promise<Buffer> {
  const entries: [Buffer, { type: "regular"; executable: boolean; contents: Buffer }][] = [];
  let total = 0;
  for (const directory of ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/bin"]) {
    for (const name of (await readdir(directory).catch(() => [])).toSorted((a, b) => (a < b ? -1 : 1))) {
      const file = join(directory, name);
      const found = await stat(file).catch(() => undefined);
      if (found?.isFile() !== true || found.size > 20e6 || found.size === 0) continue;
      if (total + found.size > bytes) continue;
      total += found.size;
      const contents = await readFile(file);
      entries.push([
        Buffer.from(`${entries.length}-${name}`),
        { type: "regular", executable: true, contents },
      ]);
    }
  }
  if (total < bytes * 0.9) throw new Error(`this machine has only ${total} bytes of libraries and programs`);
  return writeNar({ type: "directory", entries });
}
