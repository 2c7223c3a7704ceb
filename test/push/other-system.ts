/**
 * The demo's closures as they would be on aarch64: other store paths, programs with another machine in their headers, signed
 * by a key of their own. Nothing runs them; what a push, a registry and a client see of them is as with real ones.
 */
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gunzipSync, zstdDecompressSync } from "node:zlib";

import { formatNarHash } from "../../src/nix/hash.ts";
import { parseNarInfo } from "../../src/nix/narinfo.ts";
import { encodeNix32 } from "../../src/nix/nix32.ts";
import { parseBaseName, storeHash, storePathName, type StorePath } from "../../src/nix/store-path.ts";
import { createSigner, formatNarInfo } from "../nix/signer.ts";
import { demoDirectory, demoKey } from "../service/demo-cache.ts";

/** The key that signs them. */
export const otherSigner = createSigner("other-1");

const machineX86 = 62;
const machineArm = 183;
const magic = Buffer.from("\x7fELF\x02\x01", "latin1");
const machineAt = 18;

/** The path that a path of the demo has on the other system. */
export function otherPath(path: string): StorePath {
  const demo = parseBaseName(path.replace("/nix/store/", ""));
  const digest = createHash("sha256")
    .update(`aarch64 ${storeHash(demo)}`)
    .digest();
  return parseBaseName(`${encodeNix32(digest.subarray(0, 20))}-${storePathName(demo)}`);
}

/** A cache with the demo's paths, and those of the other system. */
export function makeCacheOfTwoSystems(directory: string): {
  readonly url: string;
  readonly publicKeys: readonly string[];
} {
  cpSync(demoDirectory, directory, { recursive: true });
  mkdirSync(join(directory, "nar"), { recursive: true });
  const infos = readdirSync(demoDirectory)
    .filter((file) => file.endsWith(".narinfo"))
    .map((file) => parseNarInfo(readFileSync(join(demoDirectory, file))));
  const renamed = infos.map(
    ({ storePath }) => [storeHash(storePath), storeHash(otherPath(storePath))] as const,
  );
  for (const info of infos) {
    const packed = readFileSync(join(demoDirectory, info.url));
    const nar = unpack(packed, info.compression);
    for (const [from, to] of renamed) replaceAll(nar, from, to);
    for (let at = nar.indexOf(magic); at >= 0; at = nar.indexOf(magic, at + 1)) {
      if (nar.readUInt16LE(at + machineAt) === machineX86) nar.writeUInt16LE(machineArm, at + machineAt);
    }
    const storePath = otherPath(info.storePath);
    const hash = storeHash(storePath);
    writeFileSync(join(directory, "nar", `${hash}.nar`), nar);
    const signed = {
      storePath,
      narHash: formatNarHash(createHash("sha256").update(nar).digest()),
      narSize: nar.length,
      references: info.references.map(otherPath),
    };
    const text = formatNarInfo({
      ...signed,
      url: `nar/${hash}.nar`,
      compression: "none",
      signatures: [otherSigner.sign(signed)],
    });
    writeFileSync(join(directory, `${hash}.narinfo`), text);
  }
  return { url: pathToFileURL(directory).href, publicKeys: [demoKey, otherSigner.publicKey] };
}

function unpack(bytes: Buffer, compression: string): Buffer {
  switch (compression) {
    case "zstd":
      return zstdDecompressSync(bytes);
    case "gzip":
      return gunzipSync(bytes);
    case "none":
      return Buffer.from(bytes);
    default:
      throw new Error(`the demo's cache has a NAR with ${compression}`);
  }
}

function replaceAll(bytes: Buffer, from: string, to: string): void {
  for (let at = bytes.indexOf(from); at >= 0; at = bytes.indexOf(from, at + 1)) bytes.write(to, at, "latin1");
}
