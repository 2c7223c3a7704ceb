/** The inner parts of unbzip2-stream 1.4.3, which has no types. */

declare module "unbzip2-stream/lib/bit_iterator.js" {
  /** Reads bits; null passes over those up to the next whole byte. */
  interface BitReader {
    (count: number | null): number;
    /** Bytes that were begun. */
    bytesRead: number;
  }
  /** Asks for the next bytes when it is made, and whenever it has none left. */
  const bitIterator: (nextBuffer: () => Uint8Array | undefined) => BitReader;
  export type { BitReader };
  export default bitIterator;
}

declare module "unbzip2-stream/lib/bzip2.js" {
  import type { BitReader } from "unbzip2-stream/lib/bit_iterator.js";
  const bzip2: {
    /** Reads a stream's header; the block size in units of 100,000 bytes. */
    header(bits: BitReader): number;
    /** Reads a block and gives its bytes to `output`; the stream's checksum so far, or null after its end. */
    decompress(
      bits: BitReader,
      output: (byte: number) => void,
      block: Int32Array,
      blockSize: number,
      checksum: number,
    ): number | null;
  };
  export default bzip2;
}
