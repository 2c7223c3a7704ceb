import { narInvalid, quote } from "../errors.ts";
import { maxTargetLength, narPlaces, type NarEvent, type NarPlace, type NarWord } from "./nar-grammar.ts";
import { NarPath } from "./nar-path.ts";
import { narPadding } from "./nar-words.ts";

export { sniffPathType } from "./nar-sniff.ts";

/**
 * What a NAR holds, in its order: a directory before its entries, entries in byte order of their names.
 *
 * Paths are relative to the root, joined by "/", and empty for the root. Names are bytes of any encoding. Buffers of
 * paths and targets are the callee's to keep.
 */
export interface NarVisitor {
  directory(path: Uint8Array): void;
  /** Followed by calls of `contents` whose lengths add up to `size` (none if it is 0), then by `endRegular`. */
  regular(path: Uint8Array, executable: boolean, size: number): void;
  /** A view of the bytes that were written to the reader, valid only during the call. */
  contents(chunk: Uint8Array): void;
  endRegular(): void;
  symlink(path: Uint8Array, target: Uint8Array): void;
}

/** Bytes of the length before each string. */
const lengthSize = 8;

/**
 * Reads a NAR that is written to it in chunks of any size, and tells a visitor what it holds.
 *
 * Memory is bounded by the limits of the format (about 20 KiB), whatever the NAR's size; contents are passed on
 * without being copied. Stricter than Nix in one thing: bytes after the root node are refused.
 *
 * Once a call has thrown (narInvalid, or an error of the visitor), each later one throws the same.
 */
export class NarReader {
  readonly #visitor: NarVisitor;
  readonly #maxBytes: number;
  #failure: { readonly error: unknown } | undefined;

  /** Bytes written. */
  #received = 0;
  /** Where the string, contents or padding begins that comes next. */
  #position = 0;
  #place: NarPlace = narPlaces.magic;
  readonly #path = new NarPath();

  /** A string that began in an earlier chunk, with its length and padding. */
  readonly #partial = new Uint8Array(lengthSize + maxTargetLength + narPadding(maxTargetLength));
  #partialLength = 0;

  #isExecutable = false;
  #contentsLeft = 0;
  /** Zero bytes to come after the contents. */
  #paddingLeft = 0;

  /** @param maxBytes the most that may be written, in bytes: the narinfo's NarSize */
  constructor(visitor: NarVisitor, maxBytes = Number.MAX_SAFE_INTEGER) {
    this.#visitor = visitor;
    this.#maxBytes = maxBytes;
  }

  /** Number of bytes written so far. */
  get bytesRead(): number {
    return this.#received;
  }

  /**
   * Reads on. When it returns, the visitor knows all that these bytes complete.
   *
   * @throws narInvalid
   */
  write(chunk: Uint8Array): void {
    this.#guard(() => {
      this.#received += chunk.length;
      if (this.#received > this.#maxBytes) this.#failTooLong();
      for (let at = 0; at < chunk.length;) at = this.#step(chunk, at);
    });
  }

  /**
   * Says that nothing follows.
   *
   * @throws narInvalid if the NAR is not complete.
   */
  end(): void {
    this.#guard(() => {
      if (this.#place !== narPlaces.end) this.#fail(`it ends where ${this.#place.what} should be`);
    });
  }

  #guard(read: () => void): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    try {
      read();
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }

  /** Reads what comes next in a chunk, or the part of it that is there; returns where the rest begins. */
  #step(chunk: Uint8Array, at: number): number {
    if (this.#contentsLeft > 0) return this.#readContents(chunk, at);
    if (this.#paddingLeft > 0) return this.#readPadding(chunk, at);
    if (this.#place === narPlaces.end) this.#fail("bytes follow its end");
    if (this.#partialLength === 0 && chunk.length - at >= lengthSize) {
      const end = at + this.#sizeOfString(chunk, at);
      if (chunk.length >= end) {
        this.#readString(chunk, at, end);
        return end;
      }
    }
    return this.#collect(chunk, at);
  }

  #readContents(chunk: Uint8Array, at: number): number {
    const end = Math.min(chunk.length, at + this.#contentsLeft);
    this.#visitor.contents(chunk.subarray(at, end));
    this.#contentsLeft -= end - at;
    this.#position += end - at;
    return end;
  }

  #readPadding(chunk: Uint8Array, at: number): number {
    const end = Math.min(chunk.length, at + this.#paddingLeft);
    this.#checkZero(chunk, at, end, this.#position);
    this.#paddingLeft -= end - at;
    this.#position += end - at;
    return end;
  }

  /** Keeps the part of a string that a chunk has, and reads the string once it is whole. */
  #collect(chunk: Uint8Array, at: number): number {
    const wanted = this.#partialLength < lengthSize ? lengthSize : this.#sizeOfString(this.#partial, 0);
    const end = Math.min(chunk.length, at + wanted - this.#partialLength);
    this.#partial.set(chunk.subarray(at, end), this.#partialLength);
    this.#partialLength += end - at;
    if (this.#partialLength >= lengthSize && this.#partialLength === this.#sizeOfString(this.#partial, 0)) {
      const size = this.#partialLength;
      this.#partialLength = 0;
      this.#readString(this.#partial, 0, size);
    }
    return end;
  }

  /** Bytes of the next string with its length and padding; of contents, only their length is read as a string. */
  #sizeOfString(bytes: Uint8Array, at: number): number {
    const length = readLength(bytes, at);
    if (length > this.#place.maxLength) this.#failLength(length);
    return this.#place === narPlaces.contents ? lengthSize : lengthSize + length + narPadding(length);
  }

  /** Reads a whole string, its length and padding included. */
  #readString(bytes: Uint8Array, at: number, end: number): void {
    const length = readLength(bytes, at);
    if (this.#place === narPlaces.contents) {
      this.#openContents(length);
    } else {
      const start = at + lengthSize;
      this.#checkZero(bytes, start + length, end, this.#position + lengthSize + length);
      if (this.#place === narPlaces.name) this.#readName(bytes, start, start + length);
      else if (this.#place === narPlaces.target) this.#readTarget(bytes.subarray(start, start + length));
      else this.#readWord(bytes, start, start + length);
    }
    this.#position += end - at;
  }

  #openContents(size: number): void {
    const padding = narPadding(size);
    if (size + padding > this.#maxBytes - this.#position - lengthSize) this.#failTooLong();
    this.#place = narPlaces.closeRegular;
    this.#contentsLeft = size;
    this.#paddingLeft = padding;
    this.#visitor.regular(this.#path.copy(), this.#isExecutable, size);
  }

  #readName(bytes: Uint8Array, start: number, end: number): void {
    const illegal = this.#path.name(bytes, start, end);
    if (illegal !== undefined) this.#fail(illegal);
    this.#place = narPlaces.nodeField;
  }

  #readTarget(target: Uint8Array): void {
    if (target.length === 0) this.#fail("the target of a symlink is empty");
    if (target.includes(0)) this.#fail("the target of a symlink has a zero byte");
    this.#place = narPlaces.closeSymlink;
    // Not slice(): that of a Buffer would be a view of the caller's bytes.
    this.#visitor.symlink(this.#path.copy(), new Uint8Array(target));
  }

  #readWord(bytes: Uint8Array, start: number, end: number): void {
    const word = findWord(this.#place.words, bytes, start, end);
    if (word === undefined) {
      const found = Buffer.from(bytes.subarray(start, end)).toString("latin1");
      this.#fail(`found ${quote(found)} where ${this.#place.what} should be`);
    }
    this.#place = narPlaces[word.next];
    if (word.event !== undefined) this.#handle(word.event);
  }

  #handle(event: NarEvent): void {
    switch (event) {
      case "regular":
        this.#isExecutable = false;
        return;
      case "executable":
        this.#isExecutable = true;
        return;
      case "directory":
        this.#visitor.directory(this.#path.copy());
        this.#path.enter();
        return;
      case "node":
        if (this.#path.isTooDeep) this.#fail("directories are nested too deeply, 64 levels are legal");
        return;
      case "endRegular":
        this.#visitor.endRegular();
        break;
      case "endDirectory":
        this.#path.leave();
        break;
      case "endNode":
        break;
    }
    if (this.#path.isRoot) this.#place = narPlaces.end;
  }

  /** @param position of `start` in the NAR; the message names the byte that is not zero, however the NAR was cut. */
  #checkZero(bytes: Uint8Array, start: number, end: number, position: number): void {
    for (let at = start; at < end; at++) {
      if (bytes[at] !== 0) this.#fail("padding is not zero", position + at - start);
    }
  }

  #failTooLong(): never {
    this.#fail(`it is longer than the ${this.#maxBytes} bytes that it should have`);
  }

  #failLength(length: number): never {
    const { what, maxLength } = this.#place;
    if (this.#place === narPlaces.magic) this.#fail(`it does not start with ${what}; is it compressed?`);
    this.#fail(`found ${length} bytes where ${what} should be, at most ${maxLength} are legal`);
  }

  #fail(why: string, position = this.#position): never {
    throw narInvalid(why, position);
  }
}

/** Exact up to 2^53; a longer one is rounded, and beyond every limit. */
function readLength(bytes: Uint8Array, at: number): number {
  return readUint32(bytes, at + 4) * 0x1_0000_0000 + readUint32(bytes, at);
}

function readUint32(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
  const high = (bytes[at + 2] ?? 0) | ((bytes[at + 3] ?? 0) << 8);
  return high * 0x1_0000 + low;
}

function findWord(
  words: readonly NarWord[],
  bytes: Uint8Array,
  start: number,
  end: number,
): NarWord | undefined {
  for (const word of words) if (isWord(word.bytes, bytes, start, end)) return word;
  return undefined;
}

function isWord(word: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (word.length !== end - start) return false;
  for (let index = 0; index < word.length; index++) if (word[index] !== bytes[start + index]) return false;
  return true;
}
