/** Bytes that are read at a time. */
export const chunkSize = 256 * 1024;

/** Buffers that wait for their next use: enough for some dozen readers. */
const maxFree = 64;

const free: Buffer[] = [];

/** Memory for a chunk, with anything in it. */
export function takeBuffer(length: number): Buffer {
  // Not from Node's pool, and not to be cleared: it is filled, or cut to what was filled.
  return free.pop() ?? Buffer.allocUnsafeSlow(length);
}

/**
 * Takes back a chunk that nobody looks at any more. New memory for each would be half of the work of sending a large
 * blob: the kernel clears its pages first.
 */
export function reuseBuffer({ buffer }: Uint8Array): void {
  if (buffer.byteLength === chunkSize && free.length < maxFree) free.push(Buffer.from(buffer));
}
