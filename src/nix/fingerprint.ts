import type { NarInfo } from "./narinfo.ts";

/** The part of a narinfo that signatures cover. */
export type Signed = Pick<NarInfo, "storePath" | "narHash" | "narSize" | "references">;

/**
 * What signatures are made over (ValidPathInfo::fingerprint, src/libstore/path-info.cc, 2.36):
 * `1;<store path>;<NarHash in nix32>;<NarSize>;<references>`, references absolute, in byte order, joined by commas.
 */
export function fingerprint(info: Signed): Uint8Array {
  const references = [...new Set(info.references)].sort().join(",");
  return Buffer.from(`1;${info.storePath};${info.narHash};${info.narSize};${references}`, "ascii");
}
