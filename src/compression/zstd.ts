import zlib from "node:zlib";

import { decoderChunkSize, runDecoder } from "./zlib.ts";
import { ZstdFrames } from "./zstd-frames.ts";

/**
 * The largest window (bytes, a power of two): what zstd takes without being told, and all that its levels up to 22
 * use. A decoder holds one window in memory.
 */
export const maxZstdWindow = 2 ** 27;

/**
 * Frames that are decoded whatever their size, and bytes of input for each one more: a decoder takes 0.2 ms to make,
 * and a frame of nothing has 9 bytes.
 */
const freeFrames = 1024;
const bytesForFrame = 1024;

/** Bytes of one frame. */
interface Part {
  readonly bytes: Uint8Array;
  /** The frame ends here. */
  readonly last: boolean;
}

type Parts = AsyncGenerator<Part, void, undefined>;

/**
 * zstd (RFC 8878), of one frame or many, with or without frames to be skipped.
 *
 * @param options.maxWindow bytes, a power of two: memory that the data can make the decoder take.
 * @param options.chunkSize bytes that it gives at a time.
 */
export async function* decompressZstd(
  input: AsyncIterable<Uint8Array>,
  {
    maxWindow = maxZstdWindow,
    chunkSize = decoderChunkSize,
  }: { readonly maxWindow?: number; readonly chunkSize?: number } = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  let bytes = 0;
  const parts = splitFrames(input, maxWindow, (count) => {
    bytes += count;
  });
  for (let frames = 0; ; frames++) {
    const first = await parts.next();
    if (first.done === true) {
      if (frames === 0) throw new Error("unexpected end of file");
      return;
    }
    if (frames >= freeFrames + bytes / bytesForFrame)
      throw new Error(`it has too many frames, ${frames} in ${bytes} bytes`);
    const decoder = zlib.createZstdDecompress({
      chunkSize,
      params: { [zlib.constants.ZSTD_d_windowLogMax]: Math.log2(maxWindow) },
    });
    yield* runDecoder(decoder, frameBytes(first.value, parts));
  }
}

async function* frameBytes(first: Part, parts: Parts): AsyncGenerator<Uint8Array, void, undefined> {
  yield first.bytes;
  let last = first.last;
  while (!last) {
    // Not `for await`: leaving it would close the parts of the frames that follow.
    const next = await parts.next();
    if (next.done === true) return;
    yield next.value.bytes;
    last = next.value.last;
  }
}

/** The frames with compressed data, in parts; the others are left out. */
async function* splitFrames(
  input: AsyncIterable<Uint8Array>,
  maxWindow: number,
  count: (bytes: number) => void,
): Parts {
  const frames = new ZstdFrames(maxWindow);
  // The first bytes of a frame, as long as they do not tell its kind.
  let held = new Uint8Array();
  for await (const chunk of input) {
    count(chunk.length);
    for (let at = 0; at < chunk.length;) {
      const { end, last, kind } = frames.next(chunk, at);
      const bytes = chunk.subarray(at, end);
      at = end;
      if (kind === "unknown") held = Buffer.concat([held, bytes]);
      else if (kind === "data") yield { bytes: held.length > 0 ? Buffer.concat([held, bytes]) : bytes, last };
      if (kind !== "unknown") held = new Uint8Array();
    }
  }
  if (!frames.complete) throw new Error("unexpected end of file");
}
