import { constants, zstdDecompressSync } from "node:zlib";
import type { Closure, PathType } from "../../src/nix/closure.ts";
import { sniffPathType } from "../../src/nix/nar-sniff.ts";
import type { NarInfo } from "../../src/nix/narinfo.ts";
import { parseSha256 } from "../../src/nix/hash.ts";
import { baseName, parseBaseName, storePathName, type StorePath } from "../../src/nix/store-path.ts";
import { demoNarInfos, readDemoFile } from "../nix/demo-cache.ts";

const infos = new Map(demoNarInfos().map((info) => [info.storePath, info]));

/** A store path of the demo's binary cache by its name, such as `hello-app`. */
export function demoPath(name: string): StorePath {
  const found = [...infos.keys()].filter((path) => storePathName(path) === name);
  if (found.length !== 1) throw new Error(`${found.length} paths are called ${name}`);
  return found[0]!;
}

/** The closure of store paths of the demo's binary cache, as a resolver gives it. */
export function demoClosure(...roots: readonly StorePath[]): Closure {
  const reached = new Set(roots);
  for (const path of reached) for (const reference of infoOf(path).references) reached.add(reference);
  return closureOf(roots, [...reached].map(infoOf));
}

function infoOf(path: StorePath): NarInfo {
  const info = infos.get(path);
  if (info === undefined) throw new Error(`the demo's cache has no ${path}`);
  return info;
}

/** What all paths of the demo's binary cache are, read from the first bytes of their NARs. */
export const demoTypes: ReadonlyMap<StorePath, PathType> = new Map(
  [...infos.values()].map((info) => [info.storePath, sniffDemoNar(info)]),
);

function sniffDemoNar(info: NarInfo): PathType {
  // Two zstd blocks at most; the rest of the file need not be decompressed for the first hundred bytes.
  const start = readDemoFile(info.url).subarray(0, 256 * 1024);
  const type = sniffPathType(zstdDecompressSync(start, { finishFlush: constants.ZSTD_e_flush }));
  if (type === undefined) throw new Error(`the NAR of ${info.storePath} is too short`);
  return type;
}

/** The unit in which sizes of made-up paths are given. */
export const MiB = 1024 * 1024;

/** A made-up path of a made-up closure. */
export interface MadePath {
  readonly name: string;
  readonly type?: PathType;
  /** In bytes; enough for an image of its own where it is left out. */
  readonly narSize?: number;
  /** Names of other ones. */
  readonly references?: readonly string[];
}

/** A closure of made-up paths; their hashes ascend in the order given. */
export function madeClosure(
  roots: readonly string[],
  paths: readonly MadePath[],
): { readonly closure: Closure; readonly types: ReadonlyMap<StorePath, PathType> } {
  const byName = new Map(paths.map(({ name }, i) => [name, madePath(i, name)]));
  const pathOf = (name: string): StorePath => {
    const path = byName.get(name);
    if (path === undefined) throw new Error(`no path is called ${name}`);
    return path;
  };
  const narInfos = paths.map(({ name, narSize = 4 * MiB, references = [] }) => ({
    storePath: pathOf(name),
    url: `nar/${name}.nar`,
    compression: "none",
    narHash: parseSha256(`sha256:${"0".repeat(52)}`),
    narSize,
    references: references.map(pathOf).toSorted(),
    signatures: [],
  }));
  return {
    closure: closureOf(roots.map(pathOf), narInfos),
    types: new Map(paths.map(({ name, type = "directory" }) => [pathOf(name), type])),
  };
}

/** The store path with a name and the `position`-th hash in ascending order. */
export function madePath(position: number, name: string): StorePath {
  return parseBaseName(`${String(position).padStart(32, "0")}-${name}`);
}

function closureOf(roots: readonly StorePath[], infos: readonly NarInfo[]): Closure {
  const paths = infos.toSorted((a, b) => (baseName(a.storePath) < baseName(b.storePath) ? -1 : 1));
  return {
    roots,
    paths,
    byPath: new Map(paths.map((info) => [info.storePath, info])),
    narSize: paths.reduce((sum, info) => sum + info.narSize, 0),
  };
}
