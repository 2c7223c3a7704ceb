import {
  type ClosureDocument,
  decodeClosureDocument,
  type ManifestDescriptor,
  maxManifestBytes,
} from "../closure-index/closure-document.ts";
import {
  checkClosureIndex,
  imagesOf,
  parseClosureIndex,
  parseClosureManifest,
} from "../closure-index/closure-index.ts";
import { verifyClosure } from "../closure-index/closure-signature.ts";
import { closureIndexInvalid, NixClosureError, registryInvalidAnswer } from "../errors.ts";
import type { PathType } from "../nix/closure.ts";
import type { PublicKey } from "../nix/signature.ts";
import { type StorePath } from "../nix/store-path.ts";
import type { Digest } from "../oci/digest.ts";
import type { Repository } from "../registry-client/repository.ts";
import type { WantedClosure } from "./wanted-closure.ts";

/** What is there is not what its name says, or not what a push makes: to be written again. */
const damaged: ReadonlySet<string> = new Set([closureIndexInvalid.code, registryInvalidAnswer.code]);

/** What a repository has under a closure's tag. */
export interface PresentClosure {
  /** Of the index. */
  readonly digest: Digest;
  /** Undefined if it is not one that a push with this key makes. */
  readonly whole: WholeClosure | undefined;
}

/** A closure that a push has made. */
export interface WholeClosure {
  readonly document: ClosureDocument;
  /** Of the document. */
  readonly documentDescriptor: ManifestDescriptor;
  /** Media type of the images' layers; undefined: they are not there any more. */
  readonly layerMediaType: string | undefined;
}

/**
 * Looks at what is under a tag, with four requests at most.
 *
 * @param key only what it signed counts.
 * @returns undefined if nothing is there.
 * @throws the errors of the registry
 */
export async function findPresentClosure(
  repository: Repository,
  tag: string,
  key: PublicKey,
  signal: AbortSignal,
): Promise<PresentClosure | undefined> {
  const found = await repository.getManifest(tag, { maxBytes: maxManifestBytes, signal });
  if (found === undefined) return undefined;
  const { digest, bytes } = found;
  const unknown = { digest, whole: undefined };
  try {
    const read = await readDocument(repository, tag, bytes, key, signal);
    if (read === undefined) return unknown;
    const layerMediaType = await readLayerMediaType(repository, read.document, signal);
    return { digest, whole: { ...read, layerMediaType } };
  } catch (error) {
    if (error instanceof NixClosureError && damaged.has(error.code)) return unknown;
    throw error;
  }
}

/** Whether a document is of this closure with these store images. Provenance does not count: caches differ in it. */
export function isSameClosure(document: ClosureDocument, wanted: WantedClosure): boolean {
  const { closure, types, storeImages, system } = wanted;
  if (system !== undefined && system !== document.system) return false;
  const images = document.storeImages.map(({ own }) => own.toSorted().join(" "));
  const wantedImages = storeImages.map((own) => [...own].toSorted().join(" "));
  if (!sameTexts(images, wantedImages) || !sameTexts(document.roots, closure.roots)) return false;
  if (document.paths.length !== closure.paths.length) return false;
  return document.paths.every(({ storePath, narHash, narSize, references, type }) => {
    const info = closure.byPath.get(storePath);
    return (
      info?.narHash === narHash &&
      info.narSize === narSize &&
      sameTexts(info.references, references) &&
      typeOf(types, storePath) === type
    );
  });
}

async function readDocument(
  repository: Repository,
  tag: string,
  bytes: Uint8Array,
  key: PublicKey,
  signal: AbortSignal,
): Promise<Pick<WholeClosure, "document" | "documentDescriptor"> | undefined> {
  const index = parseClosureIndex(bytes);
  const manifest = await repository.getManifest(index.closureManifest.digest, { signal });
  if (manifest === undefined) return undefined;
  const { document: descriptor, signatures } = parseClosureManifest(manifest.bytes);
  const blob = await repository.getBlob(descriptor.digest, { maxBytes: maxManifestBytes, signal });
  if (blob === undefined) return undefined;
  const document = decodeClosureDocument(blob);
  const statement = { tag, system: document.system, document: descriptor.digest };
  if (verifyClosure(signatures, statement, [key]) === undefined) return undefined;
  checkClosureIndex(index, document);
  return { document, documentDescriptor: descriptor };
}

/** All images of a push are compressed alike, so the first one tells. */
async function readLayerMediaType(
  repository: Repository,
  document: ClosureDocument,
  signal: AbortSignal,
): Promise<string | undefined> {
  const [first] = imagesOf(document);
  const manifest = first && (await repository.getManifest(first.digest, { signal }));
  if (manifest === undefined) return undefined;
  const { layers } = JSON.parse(Buffer.from(manifest.bytes).toString()) as {
    readonly layers?: readonly { readonly mediaType?: string }[];
  };
  return layers?.[0]?.mediaType;
}

function typeOf(types: ReadonlyMap<StorePath, PathType>, path: StorePath): PathType | undefined {
  return types.get(path);
}

function sameTexts(some: readonly string[], others: readonly string[]): boolean {
  const set = new Set(some);
  return set.size === new Set(others).size && others.every((text) => set.has(text));
}
