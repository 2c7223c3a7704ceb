import type { Digest } from "../oci/digest.ts";
import type { ImageLayer, ImageRecord } from "./image-record.ts";
import type { StoredBlob } from "./stored-blob.ts";

/** The blobs that a store has, in the order of their last use. */
export class KnownBlobs implements Iterable<StoredBlob> {
  readonly #byDigest = new Map<Digest, StoredBlob>();
  /** By the keys of the layers that they are. */
  readonly #byKey = new Map<string, StoredBlob>();
  readonly #keys = new Map<StoredBlob, Set<string>>();

  get size(): number {
    return this.#byDigest.size;
  }

  [Symbol.iterator](): Iterator<StoredBlob> {
    return this.#byDigest.values();
  }

  get(digest: Digest): StoredBlob | undefined {
    return this.#byDigest.get(digest);
  }

  /** The blob that was made from the same. */
  withKey(key: string): StoredBlob | undefined {
    return this.#byKey.get(key);
  }

  /** Those of an image's layers that are there. */
  of({ layers }: ImageRecord): readonly StoredBlob[] {
    return layers.flatMap(({ digest }) => this.#byDigest.get(digest) ?? []);
  }

  /** Adds a blob, or notes that it is used: either way it is the last. */
  use(blob: StoredBlob): void {
    this.#byDigest.delete(blob.digest);
    this.#byDigest.set(blob.digest, blob);
  }

  /** Notes what a blob is made from; nothing if it is not there. */
  noteKey({ key, digest }: ImageLayer): void {
    const blob = this.#byDigest.get(digest);
    if (blob === undefined) return;
    this.#byKey.set(key, blob);
    this.#keys.set(blob, (this.#keys.get(blob) ?? new Set<string>()).add(key));
  }

  /** @returns puts it back, as the last. */
  remove(blob: StoredBlob): () => void {
    const keys = this.#keys.get(blob) ?? new Set<string>();
    this.#byDigest.delete(blob.digest);
    this.#keys.delete(blob);
    for (const key of keys) this.#byKey.delete(key);
    return () => {
      this.use(blob);
      for (const key of keys) this.noteKey({ key, digest: blob.digest, size: blob.size });
    };
  }
}
