import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { Readable } from "node:stream";

import { diskFailed } from "../errors.ts";
import { type Digest, parseDigest } from "../oci/digest.ts";
import { diskError } from "./disk-error.ts";

/** Bytes that are read at a time. */
const chunkSize = 256 * 1024;

/** What is read: bytes `start` to `end` of a file, the last included. */
export interface BlobRange {
  readonly start: number;
  readonly end: number;
}

/** Bytes of an open file. It is not closed. */
export class BlobStream extends Readable {
  readonly #file: FileHandle;
  readonly #end: number;
  readonly #check: DigestCheck | undefined;
  #position: number;

  /** @param check sees the bytes before they go out, and stops the stream at the last of them. */
  constructor(file: FileHandle, range: BlobRange, check?: DigestCheck) {
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
    this.#check?.update(chunk, this.#position > this.#end);
    return chunk;
  }
}

/** Holds the bytes of a whole blob against its digest. */
export class DigestCheck {
  readonly #digest: Digest;
  readonly #onMismatch: () => void;
  readonly #hash = createHash("sha256");

  constructor(digest: Digest, onMismatch: () => void) {
    this.#digest = digest;
    this.#onMismatch = onMismatch;
  }

  /** @throws diskFailed with the last bytes, if they all are not what they should be. */
  update(chunk: Uint8Array, isLast: boolean): void {
    this.#hash.update(chunk);
    if (!isLast || parseDigest(`sha256:${this.#hash.digest("hex")}`) === this.#digest) return;
    this.#onMismatch();
    throw diskFailed(
      `read ${this.#digest}`,
      "its bytes have changed; it is made again when it is pulled again",
    );
  }
}

/** The digest of the first `size` bytes of a file. */
export async function digestOfFile(file: FileHandle, size: number): Promise<Digest> {
  const hash = createHash("sha256");
  for (let position = 0; position < size;) {
    const chunk = await readAt(file, position, Math.min(chunkSize, size - position));
    hash.update(chunk);
    position += chunk.length;
  }
  return parseDigest(`sha256:${hash.digest("hex")}`);
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Uint8Array> {
  // Not from the pool, and not to be cleared: it is filled, or cut to what was filled.
  const buffer = Buffer.allocUnsafeSlow(length);
  const { bytesRead } = await file.read(buffer, 0, length, position);
  if (bytesRead === 0) throw diskFailed("read a blob", "its file has become shorter");
  return buffer.subarray(0, bytesRead);
}
