import { createHash } from "node:crypto";
import { encodeNix32 } from "../../src/nix/nix32.ts";
import { formatNarHash } from "../../src/nix/hash.ts";
import { parseBaseName, storeHash, type StorePath } from "../../src/nix/store-path.ts";
import { createSigner, formatNarInfo, type NarInfoFields, type Signer } from "../nix/signer.ts";
import { writeNar } from "../nix/nar-writer.ts";

/** The key that the fake store signs with. */
export const signer = createSigner("test-1");

/** A store path that follows from its name. */
export function pathOf(name: string): StorePath {
  const digest = createHash("sha256").update(name).digest();
  return parseBaseName(`${encodeNix32(digest.subarray(0, 20))}-${name}`);
}

export const directoryNar = writeNar({ type: "directory", entries: [] });

export interface FakePath {
  readonly references?: readonly StorePath[];
  readonly nar?: Uint8Array;
  /** Fields to write instead of those that follow. */
  readonly fields?: Partial<NarInfoFields>;
  /** `undefined` leaves it unsigned. */
  readonly signer?: Signer | undefined;
}

/** The narinfo of a path, signed. */
export function narInfoOf(path: StorePath, options: FakePath = {}): Buffer {
  const { references = [], nar = directoryNar } = options;
  const signed = {
    storePath: path,
    narHash: formatNarHash(createHash("sha256").update(nar).digest()),
    narSize: nar.length,
    references,
  };
  const key = "signer" in options ? options.signer : signer;
  return Buffer.from(
    formatNarInfo({
      ...signed,
      url: `nar/${storeHash(path)}.nar`,
      compression: "none",
      signatures: key === undefined ? [] : [key.sign(signed)],
      ...options.fields,
    }),
  );
}

/** The files of a cache that holds such paths: narinfos and NARs. */
export function cacheFiles(paths: Iterable<readonly [StorePath, FakePath?]>): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>([["nix-cache-info", Buffer.from("StoreDir: /nix/store\n")]]);
  for (const [path, options] of paths) {
    files.set(`${storeHash(path)}.narinfo`, narInfoOf(path, options));
    files.set(`nar/${storeHash(path)}.nar`, options?.nar ?? directoryNar);
  }
  return files;
}

/** A chain of paths, each with a reference to the next; the first is the root. */
export function chain(length: number, name = "link"): readonly (readonly [StorePath, FakePath])[] {
  return Array.from({ length }, (_, index) => {
    const references = index + 1 < length ? [pathOf(`${name}-${index + 1}`)] : [];
    return [pathOf(`${name}-${index}`), { references }] as const;
  });
}
