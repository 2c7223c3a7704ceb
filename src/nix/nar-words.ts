/** The word that a NAR starts with. */
export const narMagic = "nix-archive-1";

/** The number of zero bytes that follow a string of this length in a NAR, up to a multiple of 8. */
export function narPadding(length: number): number {
  return (8 - (length % 8)) % 8;
}

/** A word as a NAR holds it: its length in 8 bytes, little-endian, its characters, its padding. */
export function encodeNarWord(word: string): Uint8Array {
  const encoded = Buffer.alloc(8 + word.length + narPadding(word.length));
  encoded.writeUInt32LE(word.length, 0);
  encoded.write(word, 8, "latin1");
  return encoded;
}
