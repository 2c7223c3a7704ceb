import type { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import zlib from "node:zlib";

import type { CompressedInput } from "./compressed-input.ts";

/** Bytes that a decoder gives at a time; the 16 KiB of node:zlib cost a turn of the event loop each. */
export const decoderChunkSize = 256 * 1024;

/** gzip (RFC 1952), of one member or several. */
export function decompressGzip(input: CompressedInput): AsyncGenerator<Uint8Array, void, undefined> {
  return throughDecoder(zlib.createGunzip({ chunkSize: decoderChunkSize }), input);
}

/** Brotli (RFC 7932); its windows end at 16 MiB as long as "large window" is not asked for. */
export function decompressBrotli(input: CompressedInput): AsyncGenerator<Uint8Array, void, undefined> {
  return throughDecoder(zlib.createBrotliDecompress({ chunkSize: decoderChunkSize }), input);
}

/** A decoder of node:zlib: it passes over bytes after the end, so what it took is compared with what there was. */
async function* throughDecoder(
  decoder: Transform & { readonly bytesWritten: number },
  input: CompressedInput,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield* runDecoder(decoder, input);
  if (decoder.bytesWritten !== input.bytes) throw new Error("there is data after its end");
}

/** Everything that a decoder makes of the input. */
export async function* runDecoder(
  decoder: Transform,
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const fed = pipeline(input, decoder).then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  try {
    for await (const chunk of decoder as AsyncIterable<Uint8Array>) yield chunk;
  } finally {
    // Who stops early destroys the input next; until then its next chunk may be long in coming.
    decoder.destroy();
  }
  const failure = await fed;
  if (failure === undefined) return;
  // The decoder was done before its input was.
  const early =
    failure.error instanceof Error &&
    "code" in failure.error &&
    failure.error.code === "ERR_STREAM_PREMATURE_CLOSE";
  throw early ? new Error("there is data after its end", { cause: failure.error }) : failure.error;
}
