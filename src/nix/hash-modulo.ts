import { createHash, type Hash } from "node:crypto";

/**
 * Self-references that are remembered, 8 bytes each. A real path has a few thousand; one that has more gets no hash,
 * since their positions count only after the last byte and would have to be kept until then.
 */
const maxMatches = 1_000_000;

/**
 * The hash of a content-addressed NAR: the path's own hash part counts as zeros wherever it occurs, and the positions
 * where it does are hashed after the end. Without an occurrence it is the plain hash.
 *
 * Nix, src/libstore/references.cc (RewritingSink, HashModuloSink) and addToStore in src/libstore/local-store.cc, 2.36.
 */
export class HashModulo {
  readonly #hash: Hash;
  readonly #modulus: Buffer;
  readonly #matches: number[] = [];
  /** The last bytes, which may be the beginning of an occurrence; already rewritten. */
  #tail: Buffer = Buffer.alloc(0);
  /** Position of the tail's first byte. */
  #position = 0;

  /** @param hashPart the 32 characters of the store path. */
  constructor(algorithm: string, hashPart: string) {
    this.#hash = createHash(algorithm);
    this.#modulus = Buffer.from(hashPart, "latin1");
  }

  update(chunk: Uint8Array): void {
    const bytes = Buffer.concat([this.#tail, chunk]);
    for (let at = bytes.indexOf(this.#modulus); at >= 0; at = bytes.indexOf(this.#modulus, at)) {
      if (this.#matches.length < maxMatches + 1) this.#matches.push(this.#position + at);
      bytes.fill(0, at, at + this.#modulus.length);
    }
    const done = Math.max(0, bytes.length - this.#modulus.length + 1);
    this.#hash.update(bytes.subarray(0, done));
    this.#tail = Buffer.from(bytes.subarray(done));
    this.#position += done;
  }

  /** The digest; undefined if there are more occurrences than are remembered. */
  digest(): Buffer | undefined {
    if (this.#matches.length > maxMatches) return undefined;
    this.#hash.update(this.#tail);
    for (const position of this.#matches) this.#hash.update(`|${position}`);
    return this.#hash.digest();
  }
}
