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
import type { ClosureName } from "./closure-name.ts";
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

/**
 * What a signature of a name covers: what it stands for, and the name itself, so that one cannot be put in another one's
 * place. Nothing in it says when it was signed.
 */
export interface NameStatement {
  readonly name: ClosureName;
  /** Of the bytes of the name document. */
  readonly document: Digest;
}

/** Signs a pushed closure, or a name: `<key name>:<base64>`. */
export function signClosure({ name, key }: SecretKey, statement: ClosureStatement | NameStatement): string {
  return formatSignature({ keyName: name, bytes: sign(null, statementBytes(statement), key) });
}

/**
 * The first of the keys that signed a closure or a name. As for narinfos, a signature counts only for keys of its own name, several
 * keys may share one, and no more than 64 are tried.
 *
 * @param signatures as the manifest has them; malformed ones do not count.
 */
export function verifyClosure(
  signatures: readonly string[],
  statement: ClosureStatement | NameStatement,
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

/** Neither a tag nor a name has a ";", and the first word tells which of the two it is. */
function statementBytes(statement: ClosureStatement | NameStatement): Uint8Array {
  const { document } = statement;
  if ("name" in statement) return Buffer.from(`nix-closure-name-1;${statement.name};${document}`);
  const { tag, system } = statement;
  return Buffer.from(`nix-closure-1;${tag};${system};${document}`);
}
