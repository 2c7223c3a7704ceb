import { pipeline, Readable } from "node:stream";
import { createBrotliDecompress, createGunzip } from "node:zlib";
import { decompressZstd } from "../compression/zstd.ts";

/** What we can undo. Caches store narinfos and listings so, and send them so whatever a request accepts. */
export const acceptedEncodings = "zstd, br, gzip";

/** Windows of zstd as a content encoding have at most 8 MiB (RFC 9659). */
const maxZstdWindow = 2 ** 23;

/** Real answers have one; each more multiplies what a small answer can swell to. */
const maxEncodings = 2;

const gunzip = (body: Readable): Readable => pipeline(body, createGunzip(), () => undefined);

const decoders = new Map<string, (body: Readable) => Readable>([
  ["gzip", gunzip],
  ["x-gzip", gunzip],
  ["br", (body) => pipeline(body, createBrotliDecompress(), () => undefined)],
  [
    "zstd",
    (body) =>
      readableFrom(decompressZstd(body as AsyncIterable<Uint8Array>, { maxWindow: maxZstdWindow }), body),
  ],
]);

/**
 * Undoes content encodings (RFC 9110, 8.4).
 *
 * @param encodings in the order that they were applied.
 * @throws Error for one that is not known.
 */
export function decodeContent(body: Readable, encodings: readonly string[]): Readable {
  if (encodings.length > maxEncodings) throw new Error(`it has ${encodings.length} content encodings`);
  return encodings.reduceRight((stream, encoding) => {
    const decode = decoders.get(encoding);
    if (decode === undefined)
      throw new Error(`its content encoding ${JSON.stringify(encoding)} is not known`);
    return decode(stream);
  }, body);
}

/**
 * Reads all of a body.
 *
 * @throws Error if it has more than `limit` bytes.
 */
export async function readWhole(body: Readable, limit: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > limit) throw new Error(`it has more than ${limit} bytes, the limit`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/**
 * A stream of what a generator makes of another stream. Destroying it ends the other one at once, where Readable.from
 * would wait for the generator, and so for bytes that may never come.
 */
export function readableFrom(
  chunks: AsyncGenerator<Uint8Array, void, undefined>,
  source: Readable,
): Readable {
  // Destroyed before its time, the source tells so by an error that is nobody's.
  source.on("error", () => undefined);
  return new Readable({
    read() {
      chunks.next().then(
        ({ value }) => this.push(value ?? null),
        (error: unknown) => this.destroy(error instanceof Error ? error : new Error(String(error))),
      );
    },
    destroy(error, callback) {
      source.destroy();
      leave(chunks);
      callback(error);
    },
  });
}

/** Lets a generator clean up, as a loop does that is left early. */
function leave(chunks: AsyncGenerator<unknown, void, undefined>): void {
  chunks.return().catch(() => undefined);
}
