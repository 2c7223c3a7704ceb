import { hashInvalid, quote } from "../errors.ts";

/** Digits of Nix's base 32, by value: no e, o, u and t (src/libutil/base-nix-32.cc). */
export const nix32Alphabet = "0123456789abcdfghijklmnpqrsvwxyz";

const valueOfCharCode = new Int8Array(128).fill(-1);
for (let value = 0; value < nix32Alphabet.length; value++) {
  valueOfCharCode[nix32Alphabet.charCodeAt(value)] = value;
}

/**
 * Writes bytes in Nix's base 32: five bits a digit, least significant bits first, the whole string reversed.
 *
 * @returns `ceil(8 * bytes.length / 5)` characters, 52 for a SHA-256 hash, 32 for the hash part of a store path.
 */
export function encodeNix32(bytes: Uint8Array): string {
  // Not by adding to a string: V8 would keep each step of that, 1.6 KiB for a hash.
  const charCodes: number[] = [];
  for (let digit = Math.ceil((bytes.length * 8) / 5) - 1; digit >= 0; digit--) {
    const byte = Math.floor((digit * 5) / 8);
    const pair = (bytes[byte] ?? 0) | ((bytes[byte + 1] ?? 0) << 8);
    charCodes.push(nix32Alphabet.charCodeAt((pair >> ((digit * 5) % 8)) & 0x1f));
  }
  return String.fromCharCode(...charCodes);
}

/**
 * Reads Nix's base 32.
 *
 * Stricter than Nix up to 2.34 in one thing: bits that do not fit into the bytes must be zero, so there is one
 * spelling for each value (for 32 bytes the first digit is `0` or `1`).
 *
 * @throws hashInvalid for another digit, for an impossible length, and for spare bits that are set.
 */
export function decodeNix32(text: string): Uint8Array {
  const bytes = new Uint8Array(Math.floor((text.length * 5) / 8));
  if (Math.ceil((bytes.length * 8) / 5) !== text.length) {
    throw hashInvalid(text, `no number of bytes has ${text.length} digits in nix32`);
  }
  for (let digit = 0; digit < text.length; digit++) {
    const at = text.length - 1 - digit;
    const value = valueOfCharCode[text.charCodeAt(at)] ?? -1;
    if (value < 0) {
      throw hashInvalid(text, `${quote(text.charAt(at))} is no digit of nix32 (${nix32Alphabet})`);
    }
    const byte = Math.floor((digit * 5) / 8);
    const shifted = value << ((digit * 5) % 8);
    bytes[byte] = (bytes[byte] ?? 0) | shifted;
    if (shifted > 0xff) {
      if (byte + 1 >= bytes.length) {
        throw hashInvalid(text, `its first digit is too large for ${bytes.length} bytes`);
      }
      bytes[byte + 1] = shifted >> 8;
    }
  }
  return bytes;
}
