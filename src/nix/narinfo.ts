/**
 * The narinfo format, after NarInfo::NarInfo in src/libstore/nar-info.cc of Nix 2.36.
 *
 * Looser than Nix where real caches need it: `Name:` without the character after the colon has an empty value (Nix
 * takes the next line for the value), and a malformed `Sig` is left out (see below).
 * Stricter where it costs nothing: a field that may occur once may not occur twice (in Nix the last one wins, but for
 * References and CA), StorePath must have its one spelling, and NarHash must be SHA-256.
 */
import { isUtf8 } from "node:buffer";
import { narInfoInvalid, quote, toNixClosureError } from "../errors.ts";
import { parseContentAddress } from "./content-address.ts";
import { parseHash, parseSha256 } from "./hash.ts";
import type { PathInfo } from "./path-info.ts";
import { parseSignature, type Signature } from "./signature.ts";
import { baseName, parseBaseName, parseStorePath, type StorePath } from "./store-path.ts";

export { fingerprint } from "./fingerprint.ts";

/** The name of a compression, as a narinfo has it. */
export type Compression = string;

/** What a binary cache says about a store path, and about the file with its content. */
export interface NarInfo extends PathInfo {
  /** Relative to the cache, or absolute; not covered by signatures. */
  readonly url: string;
  /** As written; `bzip2` where it is absent or empty. Not covered by signatures. */
  readonly compression: Compression;
  /** Hash of the compressed file as written; not covered by signatures. */
  readonly fileHash?: string;
  /** Bytes of the compressed file; not covered by signatures. */
  readonly fileSize?: number;
  /** Base name; absent where it is not known. */
  readonly deriver?: string;
}

/** Values as they are written, by field; `Sig` is kept apart because it may be repeated. */
interface Fields {
  readonly once: ReadonlyMap<string, string>;
  readonly signatures: readonly string[];
}

const onceOnly = new Set([
  "StorePath",
  "URL",
  "Compression",
  "FileHash",
  "FileSize",
  "NarHash",
  "NarSize",
  "References",
  "Deriver",
  "CA",
]);

/**
 * Reads a narinfo. Unknown fields (such as `System` in old ones) are skipped. The caller limits the size of the input.
 *
 * @throws narInfoInvalid, naming the field.
 */
export function parseNarInfo(bytes: Uint8Array): NarInfo {
  const { once, signatures } = splitFields(bytes);
  const field = <T>(name: string, parse: (value: string) => T): T | undefined => {
    const value = once.get(name);
    if (value === undefined) return undefined;
    try {
      return parse(value);
    } catch (error) {
      throw narInfoInvalid(`${name}: ${toNixClosureError(error).message}`).causedBy(error);
    }
  };

  const fileHash = field("FileHash", checkHash);
  const fileSize = parseSize("FileSize", once.get("FileSize"));
  const deriver = field("Deriver", parseDeriver);
  const contentAddress = field("CA", (value) => (value === "" ? undefined : parseContentAddress(value)));
  const narSize = required("NarSize", parseSize("NarSize", once.get("NarSize")));
  if (narSize === 0) throw narInfoInvalid("NarSize is zero");
  return {
    storePath: required("StorePath", field("StorePath", parseStorePath)),
    url: required("URL", once.get("URL") || undefined),
    compression: once.get("Compression") || "bzip2",
    ...(fileHash === undefined ? {} : { fileHash }),
    ...(fileSize ? { fileSize } : {}),
    narHash: required("NarHash", field("NarHash", parseSha256)),
    narSize,
    references: field("References", parseReferences) ?? [],
    ...(deriver === undefined ? {} : { deriver }),
    signatures: parseSignatures(signatures),
    ...(contentAddress === undefined ? {} : { contentAddress }),
  };
}

/** Lines `<name>:<one character><value>`; only values of fields that are read must be UTF-8. */
function splitFields(bytes: Uint8Array): Fields {
  const once = new Map<string, string>();
  const signatures: string[] = [];
  // One byte a character, so that a foreign byte in a field that nobody reads does no harm.
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  let line = 1;
  for (let start = 0; start < text.length; line++) {
    const end = text.indexOf("\n", start);
    if (end < 0) throw narInfoInvalid(`line ${line} has no newline at its end; is it cut off?`);
    const colon = text.indexOf(":", start);
    if (colon < 0 || colon > end) throw narInfoInvalid(`line ${line} has no ":"`);
    const name = text.slice(start, colon);
    const value = text.slice(colon + 2, end);
    start = end + 1;
    if (name === "Sig") {
      signatures.push(value);
    } else if (onceOnly.has(name)) {
      if (once.has(name)) throw narInfoInvalid(`${name} occurs again at line ${line}`);
      const decoded = decodeUtf8(value);
      if (decoded === undefined) throw narInfoInvalid(`${name} is not UTF-8`);
      once.set(name, decoded);
    }
  }
  return { once, signatures };
}

/** The text of bytes that are held one a character; `undefined` if they are not UTF-8. */
function decodeUtf8(value: string): string | undefined {
  const bytes = Buffer.from(value, "latin1");
  return isUtf8(bytes) ? bytes.toString("utf8") : undefined;
}

/**
 * A malformed signature is no signature, and must not hide a right one beside it: whoever serves a narinfo can add a
 * `Sig` line. Nix up to 2.34 reads signatures only when it verifies, and only those under names that it trusts; from
 * 2.35 it refuses the whole narinfo.
 */
function parseSignatures(values: readonly string[]): readonly Signature[] {
  return values.flatMap((value) => {
    const text = decodeUtf8(value);
    return (text === undefined ? undefined : parseSignature(text)) ?? [];
  });
}

function required<T>(name: string, value: T | undefined): T {
  if (value === undefined) throw narInfoInvalid(`${name} is missing`);
  return value;
}

function checkHash(value: string): string {
  parseHash(value);
  return value;
}

/** A number of bytes; 2^53 - 1 is the largest that a JavaScript number holds exactly. */
function parseSize(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const size = /^[0-9]+$/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(size)) throw narInfoInvalid(`${name}: ${quote(value)} is not a number of bytes`);
  return size;
}

function parseReferences(value: string): readonly StorePath[] {
  const names = value.split(" ").filter((name) => name !== "");
  return [...new Set(names)].sort().map(parseBaseName);
}

function parseDeriver(value: string): string | undefined {
  return value === "unknown-deriver" ? undefined : baseName(parseBaseName(value));
}
