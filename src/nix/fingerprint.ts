import type { NarHash } from "./hash.ts";
import type { StorePath } from "./store-path.ts";

/** The part of a narinfo that signatures cover. */
export interface Signed {
  readonly storePath: StorePath;
  readonly narHash: NarHash;
  /** Bytes of the NAR, above zero. */
  readonly narSize: number;
  /** In byte order, each once; the path itself is among them if it is listed. */
  readonly references: readonly StorePath[];
}

/**
 * What signatures are made over (ValidPathInfo::fingerprint, src/libstore/path-info.cc, 2.36):
 * `1;<store path>;<NarHash in nix32>;<NarSize>;<references>`, references absolute, in byte order, joined by commas.
 */
export function fingerprint(info: Signed): Uint8Array {
  const references = [...new Set(info.references)].sort().join(",");
  return Buffer.from(`1;${info.storePath};${info.narHash};${info.narSize};${references}`, "ascii");
}
