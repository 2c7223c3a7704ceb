/**
 * Reads base64 of the standard alphabet, with or without its padding (Nix reads both).
 *
 * @returns `undefined` for anything else: other characters, a wrong amount of padding, spare bits that are set.
 * Nix reads on after those; refusing them leaves one spelling for each value.
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, "base64");
  const canonical = bytes.toString("base64");
  // A copy: Buffer.from cuts small values out of a block of 64 KiB, which each of them would keep alive.
  return text === canonical || text === canonical.replace(/=+$/, "") ? new Uint8Array(bytes) : undefined;
}
