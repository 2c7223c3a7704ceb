import { sign } from "node:crypto";
import type { SecretKey } from "../nix/secret-key.ts";
import {
  findSigningKey,
  formatSignature,
  parseSignature,
  type PublicKey,
  type Signature,
} from "../nix/signature.ts";
import type { Digest } from "../oci/digest.ts";
import type { System } from "./system.ts";

/**
 * What a signature of a closure covers: all of it, since the document has the roots, the store paths, and the digests of
 * all images; and where it is found, so that one closure cannot be put in another one's place.
 */
export interface ClosureStatement {
  /** That the closure is found under. */
  readonly tag: string;
  readonly system: System;
  /** Of the bytes of the closure document. */
  readonly document: Digest;
}

/** Signs a pushed closure: `<key name>:<base64>`. */
export function signClosure({ name, key }: SecretKey, statement: ClosureStatement): string {
  return formatSignature({ keyName: name, bytes: sign(null, statementBytes(statement), key) });
}

/**
 * The first of the keys that signed a closure. As for narinfos, a signature counts only for keys of its own name, several
 * keys may share one, and no more than 64 are tried.
 *
 * @param signatures as the closure manifest has them; malformed ones do not count.
 */
export function verifyClosure(
  signatures: readonly string[],
  statement: ClosureStatement,
  keys: readonly PublicKey[],
): PublicKey | undefined {
  return findSigningKey(wellFormed(signatures), () => statementBytes(statement), keys);
}

/** One after the other: a hostile manifest can have thousands, of which no more are read than are tried. */
function* wellFormed(signatures: readonly string[]): Generator<Signature> {
  for (const text of signatures) {
    const signature = parseSignature(text);
    if (signature !== undefined) yield signature;
  }
}

function statementBytes({ tag, system, document }: ClosureStatement): Uint8Array {
  return Buffer.from(`nix-closure-1;${tag};${system};${document}`);
}
