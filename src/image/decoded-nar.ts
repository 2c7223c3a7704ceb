import { decompress } from "../compression/decompress.ts";
import { freeMemory } from "../compression/free-memory.ts";
import type { Programs } from "../compression/programs.ts";
import { toNixClosureError } from "../errors.ts";
import type { NarLocation } from "../resolver/nar-location.ts";
import { copyNar } from "./nar-copy.ts";
import { type NarLimits, openNar } from "../resolver/open-nar.ts";

/**
 * NARs up to this size (NarSize in bytes) are read as a whole before anybody asks for their bytes. To begin one takes
 * some milliseconds, and a closure has hundreds of them: so one is decompressed while another one is hashed.
 */
const wholeSize = 4 * 1024 * 1024;

/** A NAR without its compression. */
export interface DecodedNar {
  /** Each is there until the next one is asked for. */
  readonly chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** Ends it, read or not. */
  destroy(): void;
}

/** How NARs are read. */
export interface NarReading {
  readonly programs: Programs;
  /** A file for a copy of it; see `copyNar`. */
  readonly keep?: string | undefined;
  /** Other time limits than the usual ones. */
  readonly narLimits?: NarLimits | undefined;
}

/**
 * Opens a NAR, and decompresses it if it is a small one.
 *
 * @throws what openNar throws; of a small one also what is wrong with its compression
 */
export async function openDecodedNar(
  location: NarLocation,
  signal: AbortSignal,
  { programs, narLimits, keep }: NarReading,
): Promise<DecodedNar> {
  const opened = await openNar(location, signal, narLimits);
  const compressed = keep === undefined ? opened : copyNar(opened, keep);
  const stop = (): void => void compressed.destroy(toNixClosureError(signal.reason));
  signal.addEventListener("abort", stop, { once: true });
  const destroy = (): void => {
    signal.removeEventListener("abort", stop);
    compressed.destroy();
  };
  try {
    signal.throwIfAborted();
    const { storePath, compression, narSize } = location;
    const chunks = decompress(compression, compressed, { storePath, narSize, programs, signal });
    if (narSize > wholeSize) return { chunks, destroy };
    const whole = await readWhole(chunks, narSize);
    destroy();
    return { chunks: whole, destroy: () => whole.forEach(freeMemory) };
  } catch (error) {
    destroy();
    throw error;
  }
}

/** All chunks, or as many as show that there are more bytes than there may be. */
async function readWhole(chunks: AsyncIterable<Uint8Array>, narSize: number): Promise<readonly Uint8Array[]> {
  const whole = Buffer.allocUnsafeSlow(narSize);
  let size = 0;
  for await (const chunk of chunks) {
    if (size + chunk.length > narSize) return [whole.subarray(0, size), Buffer.from(chunk)];
    whole.set(chunk, size);
    size += chunk.length;
  }
  return [size === narSize ? whole : whole.subarray(0, size)];
}
