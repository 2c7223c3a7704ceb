import { ReadableStream } from "node:stream/web";
// CommonJS whose names Node does not see.
import xzDecompress from "xz-decompress";

/**
 * xz, of one stream or several, by xz-embedded compiled to WebAssembly. Its limits: dictionaries of 64 MiB, no
 * filters for machine code, no SHA-256 as its checksum; Nix (libarchive) makes none of these.
 */
export async function* decompressXz(
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const output: ReadableStream<Uint8Array> = new xzDecompress.XzReadableStream(
    ReadableStream.from(notEmpty(input)),
  );
  const reader = output.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      if (value.length > 0) yield value;
    }
  } catch (error) {
    throw new Error(describe(error), { cause: error });
  } finally {
    // Not awaited: who stops early destroys the input next, until then its next chunk may be long in coming.
    reader.cancel().catch(() => undefined);
  }
}

/** The library takes the end of its input for an empty chunk, and fails in odd words if that was the first one. */
async function* notEmpty(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  let any = false;
  for await (const chunk of input) {
    if (chunk.length === 0) continue;
    any = true;
    yield chunk;
  }
  if (!any) throw new Error("unexpected end of file");
}

/** The return codes of xz-embedded (linux/xz.h, enum xz_ret). */
const reasons = new Map([
  [3, "it needs more memory than there is"],
  [4, "it needs a dictionary of more than 64 MiB"],
  [5, "there is something that is no xz stream"],
  [6, "it uses a filter or a checksum that the built-in decoder does not know; install the program xz"],
  [7, "compressed data is corrupt"],
  [8, "unexpected end of file"],
]);

function describe(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const code = /error code (\d+)/.exec(message)?.[1];
  return reasons.get(Number(code)) ?? message;
}
