/**
 * zstd data (RFC 8878) of more than one frame. The decoder of Node 24 gives the first frame and passes over the rest;
 * Nix writes NARs of many frames from 2.35 on, and pzstd puts a skippable frame before each.
 */
import { pipeline, Readable } from "node:stream";
import { constants, createZstdDecompress } from "node:zlib";

const frameMagic = 0xfd2fb528;
/** The last hexadecimal digit is any. */
const skippableMagic = 0x184d2a50;

/**
 * Decodes all frames, one after the other.
 *
 * @param windowLog the largest window, as a power of two: memory that the data can make the decoder take.
 */
export async function* decodeZstd(
  input: AsyncIterable<Uint8Array>,
  windowLog: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const bytes = new ByteReader(input[Symbol.asyncIterator]());
  for (;;) {
    const magic = await bytes.take(4);
    if (magic.length === 0) return;
    const kind = magic.length < 4 ? 0 : magic.readUInt32LE(0);
    if ((kind ^ skippableMagic) >>> 0 < 16) {
      const size = await bytes.takeAll(4);
      for await (const skipped of bytes.pass(size.readUInt32LE(0))) void skipped;
    } else if (kind === frameMagic) {
      yield* decodeFrame(magic, bytes, windowLog);
    } else {
      throw new Error("what follows is no zstd frame");
    }
  }
}

async function* decodeFrame(
  magic: Uint8Array,
  bytes: ByteReader,
  windowLog: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const decoder = createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: windowLog } });
  // A failure of the input destroys the decoder with it, and so is thrown below.
  pipeline(Readable.from(frame(magic, bytes), { objectMode: false }), decoder, () => undefined);
  yield* decoder as AsyncIterable<Uint8Array>;
}

/** The bytes of one frame: 3.1.1 of the RFC. */
async function* frame(magic: Uint8Array, bytes: ByteReader): AsyncGenerator<Uint8Array, void, undefined> {
  const descriptor = await bytes.takeAll(1);
  const flags = descriptor.readUInt8(0);
  const singleSegment = (flags & 0x20) !== 0;
  const contentSize = [singleSegment ? 1 : 0, 2, 4, 8][flags >>> 6] ?? 0;
  const dictionaryId = [0, 1, 2, 4][flags & 3] ?? 0;
  const rest = await bytes.takeAll((singleSegment ? 0 : 1) + dictionaryId + contentSize);
  yield Buffer.concat([magic, descriptor, rest]);
  for (let last = false; !last;) {
    const header = await bytes.takeAll(3);
    const block = header.readUIntLE(0, 3);
    last = (block & 1) === 1;
    yield header;
    // A block of type 1 is one byte, repeated so many times.
    yield* bytes.pass(((block >>> 1) & 3) === 1 ? 1 : block >>> 3);
  }
  if ((flags & 0x04) !== 0) yield await bytes.takeAll(4);
}

class ByteReader {
  readonly #input: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array();

  constructor(input: AsyncIterator<Uint8Array>) {
    this.#input = input;
  }

  /** So many bytes, fewer only at the end. */
  async take(count: number): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    for await (const part of this.#upTo(count)) parts.push(part);
    return Buffer.concat(parts);
  }

  async takeAll(count: number): Promise<Buffer> {
    const taken = await this.take(count);
    if (taken.length < count) throw new Error("unexpected end of file");
    return taken;
  }

  /** The next bytes as they come. */
  async *pass(count: number): AsyncGenerator<Uint8Array, void, undefined> {
    let passed = 0;
    for await (const part of this.#upTo(count)) {
      passed += part.length;
      yield part;
    }
    if (passed < count) throw new Error("unexpected end of file");
  }

  async *#upTo(count: number): AsyncGenerator<Uint8Array, void, undefined> {
    for (let missing = count; missing > 0;) {
      if (this.#chunk.length === 0) {
        const next = await this.#input.next();
        if (next.done === true) return;
        this.#chunk = next.value;
      }
      const part = this.#chunk.subarray(0, missing);
      this.#chunk = this.#chunk.subarray(part.length);
      missing -= part.length;
      if (part.length > 0) yield part;
    }
  }
}
