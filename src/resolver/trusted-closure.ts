import { LRUCache } from "lru-cache";
import type { ClosureDocument, PushedPath } from "../closure-index/closure-document.ts";
import type { PushedImages } from "../closure-index/pushed-images.ts";
import type { Closure } from "../nix/closure.ts";
import type { StorePath } from "../nix/store-path.ts";
import type { Digest } from "../oci/digest.ts";

/** Of closures that were pushed: whoever has one has its images, whatever became of the resolver that it came from. */
const imagesOfClosures = new WeakMap<Closure, PushedImages>();

/** The images that a closure was pushed with; `undefined` for one out of binary caches. */
export function imagesOf(closure: Closure): PushedImages | undefined {
  return imagesOfClosures.get(closure);
}

/** Ways to name the roots of a closure that are kept: who writes Pods could think of any number of them. */
const maxClosures = 32;

/** A pushed closure whose signature and index were checked. */
export class TrustedClosure {
  /** Of the index: one with the same digest holds the same closure. */
  readonly index: Digest;
  /** Bytes of the closure document. */
  readonly size: number;
  readonly roots: readonly StorePath[];
  readonly paths: readonly PushedPath[];
  /** Sum of NarSize, in bytes. */
  readonly narSize: number;
  readonly #images: PushedImages;
  readonly #byPath: ReadonlyMap<StorePath, PushedPath>;
  /** By the roots that are asked for, in their order. */
  readonly #closures = new LRUCache<string, Closure>({ max: maxClosures });

  /**
   * @param repository `<host>/<repository>`
   * @param index digest of the index.
   * @param size bytes of the document.
   */
  constructor(
    repository: string,
    index: Digest,
    { system, roots, paths, storeImages }: ClosureDocument,
    size: number,
  ) {
    this.index = index;
    this.size = size;
    this.roots = roots;
    this.paths = paths;
    this.narSize = paths.reduce((sum, { narSize }) => sum + narSize, 0);
    this.#images = {
      repository,
      system,
      paths: new Map(
        paths.flatMap(({ storePath, manifest }) => (manifest ? [[storePath, manifest.digest]] : [])),
      ),
      storeImages: storeImages.map(({ own, manifest }) => ({ own: new Set(own), digest: manifest.digest })),
    };
    this.#byPath = new Map(paths.map((path) => [path.storePath, path]));
  }

  path(path: StorePath): PushedPath | undefined {
    return this.#byPath.get(path);
  }

  /**
   * The closure of some roots in this order, always the same object as long as it is asked for: of all of its own, and of
   * other paths that it has. Nothing is added by those, for it has what they need.
   *
   * @returns undefined if one of its own is left out, or another one is not in it.
   */
  closure(roots: readonly StorePath[]): Closure | undefined {
    const asked = new Set(roots);
    const key = [...asked].join(" ");
    const known = this.#closures.get(key);
    if (known !== undefined) return known;
    if (!this.roots.every((root) => asked.has(root)) || ![...asked].every((path) => this.#byPath.has(path)))
      return undefined;
    const closure = { roots: [...asked], paths: this.paths, byPath: this.#byPath, narSize: this.narSize };
    this.#closures.set(key, closure);
    imagesOfClosures.set(closure, this.#images);
    return closure;
  }
}
