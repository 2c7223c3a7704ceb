import { createHash } from "node:crypto";
import { contentAddressInvalid, quote } from "../errors.ts";
import { decodeHash, isHashAlgorithm, type HashAlgorithm } from "./hash.ts";
import { encodeNix32 } from "./nix32.ts";
import { parseBaseName, storeDirectory, storePathName, type StorePath } from "./store-path.ts";

/** How a store path's content was hashed into its name: the `CA` line of a narinfo. */
export interface ContentAddress {
  /** `text`: builtins.toFile; `flat`: bytes of a file; `recursive`: its NAR; `git`: its Git object. */
  readonly method: "text" | "flat" | "recursive" | "git";
  readonly algorithm: HashAlgorithm;
  readonly hash: Uint8Array;
  /** As written. */
  readonly text: string;
}

/**
 * Reads `text:<algorithm>:<hash>`, `fixed:<algorithm>:<hash>`, `fixed:r:...` or `fixed:git:...`
 * (ContentAddress::parse, src/libstore/content-address.cc, 2.36).
 *
 * @throws contentAddressInvalid
 */
export function parseContentAddress(text: string): ContentAddress {
  const [, kind, method, algorithm, digits] = /^(text|fixed):(?:(r|git):)?([^:]*):(.*)$/s.exec(text) ?? [];
  if (algorithm === undefined || digits === undefined || (kind === "text" && method !== undefined)) {
    throw contentAddressInvalid(text, "it is none of text:, fixed:, fixed:r: and fixed:git: with a hash");
  }
  if (!isHashAlgorithm(algorithm)) {
    throw contentAddressInvalid(text, `hash algorithm ${quote(algorithm)} is not known`);
  }
  const fixed = method === "r" ? "recursive" : method === "git" ? "git" : "flat";
  try {
    return {
      method: kind === "text" ? "text" : fixed,
      algorithm,
      hash: decodeHash(algorithm, digits),
      text,
    };
  } catch (cause) {
    throw contentAddressInvalid(text, "its hash is malformed").causedBy(cause);
  }
}

/**
 * The store path of a content address, as makeFixedOutputPathFromCA in src/libstore/store-dir-config.cc (2.36) makes it.
 *
 * @param name what follows the hash in the path
 * @param references all but the path itself
 * @param self whether the path refers to itself
 * @returns `undefined` where Nix has no path for it (only text and recursive sha256 may have references, text never
 * to itself, text only sha256), and for `git` and `blake3`: their hashes cannot be checked here, so nothing may be
 * trusted because of them.
 */
export function contentAddressedPath(
  name: string,
  ca: ContentAddress,
  references: readonly StorePath[],
  self: boolean,
): StorePath | undefined {
  const hash = `${ca.algorithm}:${Buffer.from(ca.hash).toString("hex")}`;
  if (ca.method === "git" || ca.algorithm === "blake3") return undefined;
  if (ca.method === "text") {
    if (ca.algorithm !== "sha256" || self) return undefined;
    return makeStorePath(["text", ...sortedOnce(references)].join(":"), hash, name);
  }
  if (ca.method === "recursive" && ca.algorithm === "sha256") {
    const type = ["source", ...sortedOnce(references), ...(self ? ["self"] : [])].join(":");
    return makeStorePath(type, hash, name);
  }
  if (self || references.length > 0) return undefined;
  const inner = `fixed:out:${ca.method === "recursive" ? "r:" : ""}${hash}:`;
  return makeStorePath("output:out", `sha256:${createHash("sha256").update(inner).digest("hex")}`, name);
}

/**
 * Whether the store path follows from the narinfo's content address and references. It says nothing about the
 * content: that must still be hashed.
 */
export function isContentAddressed(info: {
  readonly storePath: StorePath;
  readonly references: readonly StorePath[];
  readonly contentAddress?: ContentAddress;
}): boolean {
  if (info.contentAddress === undefined) return false;
  const others = info.references.filter((reference) => reference !== info.storePath);
  const self = others.length < info.references.length;
  return (
    contentAddressedPath(storePathName(info.storePath), info.contentAddress, others, self) === info.storePath
  );
}

/** StoreDirConfig::makeStorePath; the hash of the description is folded to 160 bits (compressHash). */
function makeStorePath(type: string, hash: string, name: string): StorePath {
  const description = createHash("sha256").update(`${type}:${hash}:${storeDirectory}:${name}`).digest();
  const folded = new Uint8Array(20);
  description.forEach((byte, index) => {
    folded[index % folded.length] = (folded[index % folded.length] ?? 0) ^ byte;
  });
  return parseBaseName(`${encodeNix32(folded)}-${name}`);
}

/** In byte order; store paths are ASCII, so the order of UTF-16 units is the same. */
function sortedOnce(references: readonly StorePath[]): readonly StorePath[] {
  return [...new Set(references)].sort();
}
