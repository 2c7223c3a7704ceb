import { notADirectory, whiteoutName } from "../errors.ts";
import type { PathType } from "../nix/closure.ts";
import type { NarVisitor } from "../nix/nar-reader.ts";
import type { StorePath } from "../nix/store-path.ts";
import { tarHeader, tarPadding } from "../oci/tar.ts";

/** Modes of the Nix store: nothing in it can be written to. */
const modes = { directory: 0o555, regular: 0o444, executable: 0o555, symlink: 0o777 } as const;

/** OCI image-spec 1.1, layer.md, "Whiteouts": such an entry deletes what lower layers have. */
const whiteoutPrefix = Buffer.from(".wh.");
const slash = 0x2f;

/** An empty directory as a store has it: where something else is mounted. */
export function directoryEntry(path: Uint8Array): Uint8Array {
  return tarHeader({ path, type: "directory", mode: modes.directory, size: 0 });
}

/**
 * Writes what a NAR holds as entries of a tar archive, in the same order. The end of the archive is not written, so
 * that several NARs can go into one.
 */
export class NarToTar implements NarVisitor {
  readonly #storePath: StorePath;
  readonly #name: Uint8Array;
  readonly #put: (bytes: Uint8Array) => void;
  #padding: Uint8Array = new Uint8Array();

  /**
   * @param storePath for messages.
   * @param name of the NAR's root in the archive; empty: its root is the archive's own, which has no entry, and must
   *   be a directory.
   * @param put takes the archive's bytes; contents are views of what the NAR reader was given.
   */
  constructor(storePath: StorePath, name: Uint8Array, put: (bytes: Uint8Array) => void) {
    this.#storePath = storePath;
    this.#name = name;
    this.#put = put;
  }

  directory(path: Uint8Array): void {
    this.#refuseWhiteout(path);
    const full = this.#fullPath(path);
    if (full.length > 0) this.#put(directoryEntry(full));
  }

  regular(path: Uint8Array, executable: boolean, size: number): void {
    const full = this.#fileAt(path, "regular");
    const mode = executable ? modes.executable : modes.regular;
    this.#put(tarHeader({ path: full, type: "regular", mode, size }));
    this.#padding = tarPadding(size);
  }

  contents(chunk: Uint8Array): void {
    this.#put(chunk);
  }

  endRegular(): void {
    if (this.#padding.length > 0) this.#put(this.#padding);
  }

  symlink(path: Uint8Array, target: Uint8Array): void {
    const full = this.#fileAt(path, "symlink");
    this.#put(tarHeader({ path: full, type: "symlink", mode: modes.symlink, size: 0, target }));
  }

  #fileAt(path: Uint8Array, type: PathType): Uint8Array {
    this.#refuseWhiteout(path);
    const full = this.#fullPath(path);
    if (full.length === 0) throw notADirectory(this.#storePath, type);
    return full;
  }

  #fullPath(path: Uint8Array): Uint8Array {
    if (this.#name.length === 0) return path;
    return path.length === 0 ? this.#name : Buffer.concat([this.#name, Buffer.of(slash), path]);
  }

  #refuseWhiteout(path: Uint8Array): void {
    const name = path.subarray(path.lastIndexOf(slash) + 1);
    if (whiteoutPrefix.equals(name.subarray(0, whiteoutPrefix.length))) {
      throw whiteoutName(this.#storePath, Buffer.from(path).toString());
    }
  }
}
