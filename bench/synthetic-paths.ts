import { createHash } from "node:crypto";
import { formatNarHash } from "../src/nix/hash.ts";
import { encodeNix32 } from "../src/nix/nix32.ts";
import { baseName, parseBaseName, storeHash, type StorePath } from "../src/nix/store-path.ts";
import { createSigner, formatNarInfo } from "../test/nix/signer.ts";

const signer = createSigner("bench-1");

/** The key that signed all synthetic paths. */
export const syntheticKey = signer.publicKey;

/** A store path that nobody has built, with its place in a graph. */
export interface SyntheticPath {
  readonly storePath: StorePath;
  readonly references: readonly StorePath[];
  /** Files are mounted in another way than directories. */
  readonly type: "directory" | "regular";
}

/** A store path that follows from its name. */
export function syntheticStorePath(name: string): StorePath {
  return parseBaseName(`${encodeNix32(digestOf(name).subarray(0, 20))}-${name}`);
}

/** The narinfo of a path, signed, with all fields that cache.nixos.org writes. */
export function syntheticNarInfo({ storePath, references }: SyntheticPath): string {
  const digest = digestOf(`nar of ${storePath}`);
  const fileHash = formatNarHash(digestOf(`file of ${storePath}`));
  // Half a kilobyte to some megabytes, most of them small, as in closures of real programs.
  const narSize = 512 + 8 * Math.floor(2 ** (6 + 14 * (digest.readUInt16LE(0) / 65536) ** 2));
  const signed = {
    storePath,
    narHash: formatNarHash(digest),
    narSize,
    references: [...references].toSorted(),
  };
  return formatNarInfo({
    ...signed,
    url: `nar/${fileHash.replace("sha256:", "")}.nar.xz`,
    compression: "xz",
    fileHash,
    fileSize: Math.ceil(narSize / 4),
    deriver: `${encodeNix32(digest.subarray(0, 20))}-${baseName(storePath).slice(33)}.drv`,
    signatures: [signer.sign(signed)],
  });
}

/** The `.ls` listing of a path: enough of it to tell what kind of file it is. */
export function syntheticListing({ type }: SyntheticPath): string {
  const root = type === "directory" ? { type, entries: {} } : { type, size: 512, narOffset: 96 };
  return JSON.stringify({ version: 1, root });
}

/** Files of a cache with these paths, made when they are asked for: by path without the first slash. */
export function syntheticFiles(paths: readonly SyntheticPath[]): (name: string) => string | undefined {
  const byHash = new Map(paths.map((path) => [String(storeHash(path.storePath)), path]));
  return (name) => {
    if (name === "nix-cache-info") return "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n";
    const [hash = "", ending] = name.split(".");
    const path = byHash.get(hash);
    if (path === undefined) return undefined;
    if (ending === "narinfo") return syntheticNarInfo(path);
    return ending === "ls" ? syntheticListing(path) : undefined;
  };
}

function digestOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
