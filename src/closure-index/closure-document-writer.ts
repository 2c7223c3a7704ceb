import { formatSignature } from "../nix/signature.ts";
import { baseName, type StorePath } from "../nix/store-path.ts";
import { type ClosureDocument, documentLimits, type PushedPath, type StoreImage } from "./pushed-closure.ts";

/** The bytes, whether or not they can be read again. */
export function writeClosureDocument({ system, roots, paths, storeImages }: ClosureDocument): Uint8Array {
  const sorted = paths.toSorted((a, b) => compare(a.storePath, b.storePath));
  const position = new Map(sorted.map(({ storePath }, index) => [storePath, index]));
  const positions = (of: readonly StorePath[]): readonly number[] =>
    [...new Set(of)].map((path) => position.get(path) ?? -1).toSorted((a, b) => a - b);
  const content = {
    version: 1,
    system,
    roots: positions(roots),
    paths: sorted.map((path) => pathMembers(path, positions)),
    storeImages: storeImages.map((image) => imageMembers(image, positions)).toSorted(compareImages),
  };
  return new TextEncoder().encode(JSON.stringify(content));
}

function pathMembers(path: PushedPath, positions: (of: readonly StorePath[]) => readonly number[]): object {
  const signatures = [...new Set(path.signatures.map(formatSignature))].toSorted();
  return {
    path: baseName(path.storePath),
    narHash: path.narHash,
    narSize: path.narSize,
    references: positions(path.references),
    signatures: signatures.slice(0, documentLimits.signatures),
    ca: path.contentAddress?.text,
    type: path.type,
    manifest: path.manifest && { digest: path.manifest.digest, size: path.manifest.size },
  };
}

interface ImageMembers {
  readonly own: readonly number[];
  readonly manifest: object;
}

function imageMembers(
  { own, manifest }: StoreImage,
  positions: (of: readonly StorePath[]) => readonly number[],
): ImageMembers {
  return { own: positions(own), manifest: { digest: manifest.digest, size: manifest.size } };
}

function compareImages(a: ImageMembers, b: ImageMembers): number {
  return compareOwn(a.own, b.own);
}

/** The order of store images by the positions of those with volumes: fewer first, then the earlier ones. */
export function compareOwn(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) return a.length - b.length;
  const at = a.findIndex((position, index) => position !== b[index]);
  return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}

/** Store paths are ASCII, so this is the order of their bytes. */
function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
