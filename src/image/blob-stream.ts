import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { Readable } from "node:stream";

import { diskFailed } from "../errors.ts";
import { type Digest, parseDigest } from "../oci/digest.ts";
import { diskError } from "./disk-error.ts";
import { chunkSize, reuseBuffer, takeBuffer } from "./read-buffers.ts";

/** What is read: bytes `start` to `end` of a file, the last included. */
export interface BlobRange {
  readonly start: number;
  readonly end: number;
}

/** Sees the bytes of a read before they go out. */
export interface BlobCheck {
  /** @throws what is wrong with them; the last ones then do not go out. */
  update(chunk: Uint8Array, isLast: boolean): void | Promise<void>;
}

/** Bytes of an open file. It is not closed. */
export class BlobStream extends Readable {
  readonly #file: FileHandle;
  readonly #end: number;
  readonly #check: BlobCheck;
  #position: number;

  constructor(file: FileHandle, range: BlobRange, check: BlobCheck) {
    super({ highWaterMark: chunkSize });
    this.#file = file;
    this.#position = range.start;
    this.#end = range.end;
    this.#check = check;
  }

  override _read(): void {
    this.#readChunk().then(
      (chunk) => this.push(chunk),
      (error: unknown) => this.destroy(diskError("read a blob", error)),
    );
  }

  async #readChunk(): Promise<Uint8Array | null> {
    const left = this.#end + 1 - this.#position;
    if (left <= 0) return null;
    const chunk = await readAt(this.#file, this.#position, Math.min(left, chunkSize));
    this.#position += chunk.length;
    const checking = this.#check.update(chunk, this.#position > this.#end);
    if (checking !== undefined) await checking;
    return chunk;
  }
}

/** Holds the bytes of a whole blob against its digest. */
export class DigestCheck implements BlobCheck {
  readonly #digest: Digest;
  readonly #on: { readonly match: () => void; readonly mismatch: () => void };
  readonly #hash = createHash("sha256");

  constructor(digest: Digest, on: { readonly match: () => void; readonly mismatch: () => void }) {
    this.#digest = digest;
    this.#on = on;
  }

  /** @throws diskFailed with the last bytes, if they all are not what they should be. */
  update(chunk: Uint8Array, isLast: boolean): void {
    this.#hash.update(chunk);
    if (!isLast) return;
    if (parseDigest(`sha256:${this.#hash.digest("hex")}`) === this.#digest) {
      this.#on.match();
      return;
    }
    this.#on.mismatch();
    throw changed(this.#digest);
  }
}

/** Looks again at the file of a blob whose bytes are known: it is to be the same at the end of a read as before. */
export class FileCheck implements BlobCheck {
  readonly #digest: Digest;
  readonly #isGood: () => Promise<boolean>;
  readonly #onMismatch: () => void;

  constructor(digest: Digest, isGood: () => Promise<boolean>, onMismatch: () => void) {
    this.#digest = digest;
    this.#isGood = isGood;
    this.#onMismatch = onMismatch;
  }

  /** @throws diskFailed with the last bytes, if the file is not what it was. */
  async update(_chunk: Uint8Array, isLast: boolean): Promise<void> {
    if (!isLast || (await this.#isGood())) return;
    this.#onMismatch();
    throw changed(this.#digest);
  }
}

function changed(digest: Digest): Error {
  return diskFailed(`read ${digest}`, "its bytes have changed; it is made again when it is pulled again");
}

/** The digest of the first `size` bytes of a file. */
export async function digestOfFile(file: FileHandle, size: number): Promise<Digest> {
  const hash = createHash("sha256");
  for (let position = 0; position < size;) {
    const chunk = await readAt(file, position, Math.min(chunkSize, size - position));
    hash.update(chunk);
    position += chunk.length;
    reuseBuffer(chunk);
  }
  return parseDigest(`sha256:${hash.digest("hex")}`);
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const buffer = takeBuffer(length);
  const { bytesRead } = await file.read(buffer, 0, length, position);
  if (bytesRead === 0) throw diskFailed("read a blob", "its file has become shorter");
  return buffer.subarray(0, bytesRead);
}
