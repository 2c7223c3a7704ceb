import { maxNameLength } from "./nar-grammar.ts";

/** Nodes within nodes, the root counted (narMaxDepth in src/libutil/archive.cc, 2.36): paths have at most 63 names. */
const maxDepth = 64;
const maxPathLength = maxDepth * (maxNameLength + 1);

const slash = 0x2f;
const dot = 0x2e;

/** A directory that has begun and not ended. */
interface OpenDirectory {
  /** The one around it; only the place of the root itself has none. */
  readonly parent: OpenDirectory | undefined;
  /** Number of directories around its entries. */
  readonly depth: number;
  /** Where names of its entries go in the path. */
  readonly nameStart: number;
  /** Length of its latest entry's name, which stays in the path until the next one is put over it; 0 before the first. */
  nameLength: number;
}

/** The path of the node that a NAR reader is at, and the directories around it. Its memory is of fixed size. */
export class NarPath {
  readonly #bytes = new Uint8Array(maxPathLength);
  #length = 0;
  #directory: OpenDirectory = { parent: undefined, depth: 0, nameStart: 0, nameLength: 0 };

  /** Whether the node is the root. */
  get isRoot(): boolean {
    return this.#directory.depth === 0;
  }

  /** Whether no node may be at this place. */
  get isTooDeep(): boolean {
    return this.#directory.depth >= maxDepth;
  }

  /** A copy, relative to the root, names joined by "/"; the root's is empty. */
  copy(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /** The node is a directory, and its entries follow. */
  enter(): void {
    const nameStart = this.#length === 0 ? 0 : this.#length + 1;
    if (nameStart > 0) this.#bytes[this.#length] = slash;
    this.#directory = { parent: this.#directory, depth: this.#directory.depth + 1, nameStart, nameLength: 0 };
  }

  /** The directory has no more entries; the node is the directory again. */
  leave(): void {
    this.#directory = this.#directory.parent ?? this.#directory;
  }

  /**
   * Goes to the entry of this name, between two offsets of `bytes`.
   *
   * @returns why it cannot be the next entry of the directory, or `undefined`.
   */
  name(bytes: Uint8Array, start: number, end: number): string | undefined {
    const illegal = explainName(bytes, start, end);
    if (illegal !== undefined) return illegal;
    if (!this.#isAfterPrevious(bytes, start, end))
      return "file names are not in strictly ascending byte order";
    const directory = this.#directory;
    for (let from = start, to = directory.nameStart; from < end;) this.#bytes[to++] = bytes[from++] ?? 0;
    directory.nameLength = end - start;
    this.#length = directory.nameStart + directory.nameLength;
    return undefined;
  }

  #isAfterPrevious(bytes: Uint8Array, start: number, end: number): boolean {
    const { nameStart, nameLength } = this.#directory;
    const common = Math.min(nameLength, end - start);
    for (let index = 0; index < common; index++) {
      const difference = (bytes[start + index] ?? 0) - (this.#bytes[nameStart + index] ?? 0);
      if (difference !== 0) return difference > 0;
    }
    return end - start > nameLength;
  }
}

function explainName(bytes: Uint8Array, start: number, end: number): string | undefined {
  const length = end - start;
  if (length === 0) return "a file name is empty";
  if (bytes[start] === dot && (length === 1 || (length === 2 && bytes[start + 1] === dot))) {
    return 'a file name is "." or ".."';
  }
  for (let at = start; at < end; at++) {
    if (bytes[at] === slash) return 'a file name has a "/"';
    if (bytes[at] === 0) return "a file name has a zero byte";
  }
  return undefined;
}
