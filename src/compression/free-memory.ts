/**
 * Gives the memory of a chunk back at once, unless it is a part of something that others may hold. The garbage collector
 * sees only how little chunks are on its own heap: it would let some hundreds of them come together, and then go through
 * all of the heap for them.
 */
export function freeMemory({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}
