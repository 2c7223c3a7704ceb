import { hashInvalid, quote } from "../errors.ts";
import { decodeBase64 } from "./base64.ts";
import { decodeNix32, encodeNix32 } from "./nix32.ts";

/** SHA-256 of a NAR in its one canonical form: `sha256:` and 52 digits of nix32. */
export type NarHash = string & { readonly __brand: "NarHash" };

/** A hash of any algorithm that Nix knows. */
export interface Hash {
  readonly algorithm: HashAlgorithm;
  readonly bytes: Uint8Array;
}

/** Algorithms of src/libutil/hash.cc (2.36), with the size of their hashes in bytes. */
const hashSizes = { blake3: 32, md5: 16, sha1: 20, sha256: 32, sha512: 64 } as const;

/** The name of a hash algorithm as Nix writes it. */
export type HashAlgorithm = keyof typeof hashSizes;

/** Whether Nix has a hash algorithm of this name. */
export function isHashAlgorithm(name: string): name is HashAlgorithm {
  return Object.hasOwn(hashSizes, name);
}

/**
 * Reads a hash with its algorithm: `<algorithm>:<hexadecimal, nix32 or base64>`, or SRI `<algorithm>-<base64>`
 * (Hash::parseAnyPrefixed).
 *
 * @throws hashInvalid
 */
export function parseHash(text: string): Hash {
  const [, algorithm, separator, digits] = /^([a-z0-9]+)([:-])(.*)$/s.exec(text) ?? [];
  if (algorithm === undefined || digits === undefined) {
    throw hashInvalid(text, 'it does not start with its algorithm, such as "sha256:"');
  }
  if (!isHashAlgorithm(algorithm)) {
    throw hashInvalid(text, `algorithm ${quote(algorithm)} is not known`);
  }
  const bytes =
    separator === "-" ? decodeSized(algorithm, digits, decodeBase64) : decodeHash(algorithm, digits);
  return { algorithm, bytes };
}

/**
 * Reads the digits of a hash whose algorithm is known; their number tells hexadecimal, nix32 and (padded) base64
 * apart, as in Hash::parseNonSRIUnprefixed.
 *
 * @throws hashInvalid
 */
export function decodeHash(algorithm: HashAlgorithm, digits: string): Uint8Array {
  const size = hashSizes[algorithm];
  if (digits.length === size * 2) return decodeSized(algorithm, digits, decodeHexadecimal);
  if (digits.length === Math.ceil((size * 8) / 5)) return decodeNix32(digits);
  if (digits.length === Math.ceil(size / 3) * 4) return decodeSized(algorithm, digits, decodeBase64);
  throw hashInvalid(digits, `no spelling of ${algorithm} has ${digits.length} characters`);
}

/**
 * Reads a SHA-256 hash in any of the forms that occur in narinfos: nix32, hexadecimal (old entries of
 * cache.nixos.org), base64 and SRI.
 *
 * @throws hashInvalid for another form, and for another algorithm.
 */
export function parseSha256(text: string): NarHash {
  const { algorithm, bytes } = parseHash(text);
  if (algorithm !== "sha256") throw hashInvalid(text, `it is ${algorithm}, wanted is sha256`);
  return formatNarHash(bytes);
}

/** The canonical form of a SHA-256 hash of 32 bytes. */
export function formatNarHash(sha256: Uint8Array): NarHash {
  if (sha256.length !== hashSizes.sha256) {
    throw hashInvalid(Buffer.from(sha256).toString("hex"), `it has ${sha256.length} bytes, not 32`);
  }
  return `sha256:${encodeNix32(sha256)}` as NarHash;
}

/** The 32 bytes of a hash. */
export function narHashBytes(hash: NarHash): Uint8Array {
  return decodeNix32(hash.slice("sha256:".length));
}

function decodeSized(
  algorithm: HashAlgorithm,
  digits: string,
  decode: (digits: string) => Uint8Array | undefined,
): Uint8Array {
  const bytes = decode(digits);
  if (bytes === undefined) throw hashInvalid(digits, "it is neither hexadecimal, nix32 nor base64");
  if (bytes.length !== hashSizes[algorithm]) {
    throw hashInvalid(digits, `it has ${bytes.length} bytes, ${algorithm} has ${hashSizes[algorithm]}`);
  }
  return bytes;
}

/** Both cases are read, as Nix does. */
function decodeHexadecimal(digits: string): Uint8Array | undefined {
  return /^(?:[0-9a-fA-F]{2})*$/.test(digits) ? Buffer.from(digits, "hex") : undefined;
}
