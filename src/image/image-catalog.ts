import type { StoreHash } from "../nix/store-path.ts";
import type { Digest } from "../oci/digest.ts";
import type { Document } from "../oci/documents.ts";
import { imageDocuments } from "./image-documents.ts";
import type { ImageRecord } from "./image-record.ts";
import type { MountPoints } from "./mount-points.ts";

/** What of an image has a digest. */
type Piece = "index" | "manifest" | "config" | "layer" | "mount points";

/** Mount points that outlive their records; a few kilobytes each. */
const maxDropped = 100;

/** All records that are known, by everything that they are asked for by. */
export class ImageCatalog {
  /** By repository, then by tag. */
  readonly #records = new Map<string, Map<string, ImageRecord>>();
  readonly #byLayer = new Map<Digest, Set<ImageRecord>>();
  /** By repository and digest; of images with the same piece, any. */
  readonly #pieces = new Map<string, Map<ImageRecord, Piece>>();
  /**
   * By repository and digest, of the records that were dropped last. A client may read the layers below first; when it has
   * them, they may give way to another at once, and the client still comes for these.
   */
  readonly #dropped = new Map<string, MountPoints>();

  get(repository: string, tag: string): ImageRecord | undefined {
    return this.#records.get(repository)?.get(tag);
  }

  /** Tags of a repository, sorted. */
  tags(repository: string): readonly string[] {
    return [...(this.#records.get(repository)?.keys() ?? [])].toSorted();
  }

  /** Whether there is a store image with this path for a root that leaves paths to path images. */
  hasStoreImage({ source, hash }: { readonly source: string; readonly hash: StoreHash }): boolean {
    const prefix = `${source}/closure/`;
    for (const [repository, records] of this.#records) {
      if (!repository.startsWith(prefix)) continue;
      const isRoot = repository.slice(prefix.length).split("_").includes(hash);
      if (isRoot && records.keys().some((tag) => !tag.includes("-n-"))) return true;
    }
    return false;
  }

  /** Adds a record, in place of the one with its repository and tag. */
  put(record: ImageRecord): void {
    const { repository, tag, layers } = record;
    const old = this.get(repository, tag);
    if (old !== undefined) this.drop(old);
    const ofRepository = this.#records.get(repository) ?? new Map<string, ImageRecord>();
    this.#records.set(repository, ofRepository.set(tag, record));
    for (const { digest } of layers) addTo(this.#byLayer, digest, record);
    for (const [digest, piece] of piecesOf(record)) {
      const key = pieceKey(repository, digest);
      this.#pieces.set(key, (this.#pieces.get(key) ?? new Map<ImageRecord, Piece>()).set(record, piece));
    }
  }

  drop(record: ImageRecord): void {
    const { repository, tag, layers, mountPoints } = record;
    const ofRepository = this.#records.get(repository);
    if (ofRepository?.get(tag) !== record) return;
    ofRepository.delete(tag);
    if (ofRepository.size === 0) this.#records.delete(repository);
    for (const { digest } of layers) removeFrom(this.#byLayer, digest, record);
    for (const [digest] of piecesOf(record)) removeFrom(this.#pieces, pieceKey(repository, digest), record);
    if (mountPoints !== undefined) this.#keepDropped(pieceKey(repository, mountPoints.digest), mountPoints);
  }

  /** The records of images with this layer. */
  withLayer(digest: Digest): readonly ImageRecord[] {
    return [...(this.#byLayer.get(digest) ?? [])];
  }

  /** The index, manifest or config of a repository's images with this digest. */
  document(
    repository: string,
    digest: Digest,
    piece: Exclude<Piece, "layer" | "mount points">,
  ): Document | undefined {
    const record = this.#find(repository, digest, piece);
    if (record === undefined) return undefined;
    const { index, manifests, configs } = imageDocuments(record);
    const candidates = { index: [index], manifest: manifests, config: configs }[piece];
    return candidates.find((document) => document.digest === digest);
  }

  /** The mount points of a repository's images with this digest. */
  mountPoints(repository: string, digest: Digest): MountPoints | undefined {
    const record = this.#find(repository, digest, "mount points");
    return record?.mountPoints ?? this.#dropped.get(pieceKey(repository, digest));
  }

  /** An image of a repository with this layer. */
  imageWithLayer(repository: string, digest: Digest): ImageRecord | undefined {
    return this.#find(repository, digest, "layer");
  }

  #find(repository: string, digest: Digest, piece: Piece): ImageRecord | undefined {
    for (const [record, found] of this.#pieces.get(pieceKey(repository, digest)) ?? []) {
      if (found === piece) return record;
    }
    return undefined;
  }

  #keepDropped(key: string, mountPoints: MountPoints): void {
    this.#dropped.delete(key);
    this.#dropped.set(key, mountPoints);
    const [oldest] = this.#dropped.keys();
    if (this.#dropped.size > maxDropped && oldest !== undefined) this.#dropped.delete(oldest);
  }
}

function* piecesOf(record: ImageRecord): Generator<readonly [Digest, Piece], void, undefined> {
  const { index, manifests, configs } = imageDocuments(record);
  yield [index.digest, "index"];
  for (const { digest } of manifests) yield [digest, "manifest"];
  for (const { digest } of configs) yield [digest, "config"];
  for (const { digest } of record.layers) yield [digest, "layer"];
  if (record.mountPoints !== undefined) yield [record.mountPoints.digest, "mount points"];
}

function pieceKey(repository: string, digest: Digest): string {
  return `${repository}@${digest}`;
}

function addTo<Key, Value>(sets: Map<Key, Set<Value>>, key: Key, value: Value): void {
  sets.set(key, (sets.get(key) ?? new Set<Value>()).add(value));
}

function removeFrom<Key, Value>(
  collections: Map<Key, { delete(value: Value): boolean; readonly size: number }>,
  key: Key,
  value: Value,
): void {
  const collection = collections.get(key);
  collection?.delete(value);
  if (collection?.size === 0) collections.delete(key);
}
