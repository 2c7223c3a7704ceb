import { sha256Digest } from "../oci/digest.ts";
import { tarEnd } from "../oci/tar.ts";
import type { Layer } from "./layer-writer.ts";
import { directoryEntry } from "./nar-to-tar.ts";

/**
 * The upper layer of a store image: an empty directory for each store path that has a volume of its own. So the layer
 * below is the same wherever the rest of a closure is, and a node has it already.
 *
 * It follows from the names alone, and is written anew whenever a client asks for it: it takes no room in the blob
 * store, and cannot be missing or damaged there.
 */
export interface MountPoints extends Layer {
  /** Base names of the store paths, in the layer's order. */
  readonly names: readonly string[];
}

/** The layer with these directories. */
export function mountPoints(names: readonly string[]): MountPoints {
  const bytes = mountPointsTar(names);
  return { names, digest: sha256Digest(bytes), size: bytes.length };
}

/** The bytes of the layer with these directories. */
export function mountPointsTar(names: readonly string[]): Uint8Array {
  return Buffer.concat([mountPointEntries(names), tarEnd]);
}

/** The same without the end of the archive. */
export function mountPointEntries(names: readonly string[]): Uint8Array {
  return Buffer.concat(names.map((name) => directoryEntry(Buffer.from(name))));
}
