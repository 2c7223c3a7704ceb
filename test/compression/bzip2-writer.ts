/** Blocks of bzip2 that no compressor writes. */

class BitWriter {
  #bits = "";

  put(value: number, count: number): this {
    this.#bits += value.toString(2).padStart(count, "0");
    return this;
  }

  bytes(): Buffer {
    const octets = this.#bits.match(/.{1,8}/g) ?? [];
    return Buffer.from(octets.map((octet) => Number.parseInt(octet.padEnd(8, "0"), 2)));
  }
}

/**
 * A stream whose only block is a run of one byte, of so many digits: each counts twice as much as the one before, so
 * that 32 of them no longer fit into a number of 32 bits.
 */
export function longRun(digits: number): Buffer {
  const bits = new BitWriter();
  for (const byte of Buffer.from("BZh9")) bits.put(byte, 8);
  bits.put(0x314159, 24).put(0x265359, 24);
  // Checksum, not randomised, origin.
  bits.put(0, 16).put(0, 16).put(0, 1).put(0, 24);
  // The byte 0x61 alone: the group 6, in it the second.
  bits.put(1 << 9, 16).put(1 << 14, 16);
  // Two tables, and the first one for all of up to 3 * 50 symbols.
  bits.put(2, 3).put(3, 15).put(0, 3);
  // Codes of 2 bits for both digits and the end.
  for (let table = 0; table < 2; table++) bits.put(2, 5).put(0, 3);
  for (let digit = 0; digit < digits; digit++) bits.put(0, 2);
  bits.put(2, 2);
  bits.put(0x177245, 24).put(0x385090, 24).put(0, 16).put(0, 16);
  return bits.bytes();
}
