import { createHash } from "node:crypto";

import { contentAddressMismatch, narHashMismatch, narSizeMismatch } from "../errors.ts";
import type { ContentAddress } from "../nix/content-address.ts";
import { HashModulo } from "../nix/hash-modulo.ts";
import { formatNarHash } from "../nix/hash.ts";
import type { NarVisitor } from "../nix/nar-reader.ts";
import { storeHash } from "../nix/store-path.ts";
import type { NarLocation } from "../resolver/nar-location.ts";

/**
 * Holds a NAR against its narinfo as it passes: NarSize and NarHash, and the content addresses that it is trusted for.
 * As a visitor it hears what the NAR holds, and passes it on.
 */
export class NarCheck implements NarVisitor {
  readonly #location: NarLocation;
  readonly #next: NarVisitor;
  readonly #narHash = createHash("sha256");
  readonly #addresses: readonly {
    readonly wanted: Uint8Array;
    readonly method: string;
    readonly hash: { update(chunk: Uint8Array): unknown; digest(): Buffer | undefined };
  }[];
  #size = 0;
  #root: "a directory" | "a file" | "an executable file" | "a symlink" = "a directory";

  constructor(location: NarLocation, contentAddresses: readonly ContentAddress[], next: NarVisitor) {
    this.#location = location;
    this.#next = next;
    this.#addresses = contentAddresses.map(({ method, algorithm, hash }) => ({
      method,
      wanted: hash,
      hash:
        method === "recursive"
          ? new HashModulo(algorithm, storeHash(location.storePath))
          : createHash(algorithm),
    }));
  }

  /**
   * Takes the next bytes of the NAR, before its reader does.
   *
   * @throws narSizeMismatch as soon as they are too many.
   */
  update(chunk: Uint8Array): void {
    this.#size += chunk.length;
    const { narSize } = this.#location;
    if (this.#size > narSize) throw this.#wrongSize(`more than ${narSize}`);
    this.#narHash.update(chunk);
    for (const { method, hash } of this.#addresses) if (method === "recursive") hash.update(chunk);
  }

  /** @throws narSizeMismatch, narHashMismatch, contentAddressMismatch */
  finish(): void {
    const { storePath, cache, narHash, narSize } = this.#location;
    if (this.#size !== narSize) throw this.#wrongSize(`only ${this.#size}`);
    const found = formatNarHash(this.#narHash.digest());
    if (found !== narHash) throw narHashMismatch(storePath, cache, narHash, found);
    for (const { method, wanted, hash } of this.#addresses) {
      if (method !== "recursive" && this.#root !== "a file") {
        throw contentAddressMismatch(storePath, cache, outOfReach(method, this.#root));
      }
      if (hash.digest()?.equals(wanted) !== true) {
        throw contentAddressMismatch(storePath, cache, "does not have the hash of its content address");
      }
    }
  }

  directory(path: Uint8Array): void {
    this.#next.directory(path);
  }

  regular(path: Uint8Array, executable: boolean, size: number): void {
    if (path.length === 0) this.#root = executable ? "an executable file" : "a file";
    this.#next.regular(path, executable, size);
  }

  contents(chunk: Uint8Array): void {
    if (this.#root === "a file") {
      for (const { method, hash } of this.#addresses) if (method !== "recursive") hash.update(chunk);
    }
    this.#next.contents(chunk);
  }

  endRegular(): void {
    this.#next.endRegular();
  }

  symlink(path: Uint8Array, target: Uint8Array): void {
    if (path.length === 0) this.#root = "a symlink";
    this.#next.symlink(path, target);
  }

  #wrongSize(found: string): Error {
    const { storePath, cache, narSize } = this.#location;
    return narSizeMismatch(storePath, cache, narSize, found);
  }
}

/**
 * Why a content address of another method than recursive says too little about such a root. Nix refuses executables as
 * outputs of this kind (derivation-check.cc, 2.36), but `nix-store --add-fixed` of 2.8 makes them, and it copies them
 * without a signature; whether such a file is executable, then only the cache says.
 */
function outOfReach(method: string, root: string): string {
  return `is ${root}, and its content address (${method}) covers no more than the bytes of a file that is not executable`;
}
