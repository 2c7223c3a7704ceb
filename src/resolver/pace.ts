import { performance } from "node:perf_hooks";

/** Bytes a second that a NAR has to come with: 10 MB then take 40 minutes, and who waits for an image has long gone. */
const leastRate = 4 * 1024;

/**
 * Passes chunks on as long as they come at some pace. A body that drips would hold its reader for as long as it likes,
 * for each byte ends a stall. Only the time counts in which a chunk is waited for.
 *
 * @param window milliseconds over which the pace is measured.
 * @throws Error when they come too slowly.
 */
export async function* atPace(
  chunks: AsyncIterable<Uint8Array>,
  window: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let [waited, bytes] = [0, 0];
  let since = performance.now();
  for await (const chunk of chunks) {
    waited += performance.now() - since;
    bytes += chunk.length;
    if (waited >= window) {
      if (bytes < (leastRate * waited) / 1000) throw new TooSlow(bytes, waited / 1000);
      [waited, bytes] = [0, 0];
    }
    yield chunk;
    since = performance.now();
  }
}

/** The bytes came too slowly. */
export class TooSlow extends Error {
  override readonly name = "TooSlow";

  constructor(bytes: number, seconds: number) {
    super(`only ${bytes} bytes came in ${seconds.toFixed(0)} s`);
  }
}
