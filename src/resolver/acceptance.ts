import {
  cacheInvalidAnswer,
  NixClosureError,
  pathMismatch,
  pathUntrusted,
  toNixClosureError,
} from "../errors.ts";
import { isContentAddressed } from "../nix/content-address.ts";
import { parseNarInfo, type NarInfo } from "../nix/narinfo.ts";
import { findTrustedKey, type PublicKey } from "../nix/signature.ts";
import { storeHash, type StoreHash } from "../nix/store-path.ts";
import { describeSignatures } from "./signature-words.ts";

/** What is known of a store path after its narinfo was checked. */
export interface AcceptedPath {
  readonly info: NarInfo;
  /**
   * True if a key of the source signed it. Else the path is content-addressed: it follows from CA and references, and
   * whoever reads the content has to check it against the CA.
   */
  readonly signed: boolean;
  /** Bytes of the narinfo. */
  readonly size: number;
}

/**
 * Checks a narinfo against what was asked for and against the source's keys.
 *
 * @param label what was asked for, for messages.
 * @throws cacheInvalidAnswer, pathMismatch, pathUntrusted
 */
export function acceptNarInfo(
  bytes: Uint8Array,
  asked: { readonly cache: string; readonly hash: StoreHash; readonly label: string },
  keys: readonly PublicKey[],
): AcceptedPath {
  const info = parse(bytes, asked.cache, asked.label);
  if (storeHash(info.storePath) !== asked.hash) {
    throw pathMismatch(asked.cache, asked.label, info.storePath);
  }
  const signed = findTrustedKey(info, keys) !== undefined;
  // Nix can compute a content address only of methods and hashes that the content can be checked against here.
  if (!signed && !isContentAddressed(info)) {
    throw pathUntrusted(
      info.storePath,
      asked.cache,
      describeSignatures(info.signatures, keys) ?? withoutSignature(info),
      keys.map(({ name }) => name),
    );
  }
  return { info, signed, size: bytes.length };
}

function parse(bytes: Uint8Array, cache: string, label: string): NarInfo {
  try {
    return parseNarInfo(bytes);
  } catch (error) {
    if (!(error instanceof NixClosureError)) throw error;
    throw cacheInvalidAnswer(cache, label, toNixClosureError(error).message).causedBy(error);
  }
}

function withoutSignature({ contentAddress }: NarInfo): string {
  return contentAddress === undefined
    ? "it has no signature"
    : "it has no signature, and its path does not follow from its content address";
}
