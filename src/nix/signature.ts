import { createPublicKey, verify, type KeyObject } from "node:crypto";
import { publicKeyInvalid } from "../errors.ts";
import { fingerprint, type Signed } from "./fingerprint.ts";
import { splitNamed } from "./named-bytes.ts";

/** A signature as a narinfo carries it: `<key name>:<base64>`. */
export interface Signature {
  readonly keyName: string;
  /** Ed25519, 64 bytes. */
  readonly bytes: Uint8Array;
}

/** A public key as nix.conf's trusted-public-keys has it: `<name>:<base64>`. */
export interface PublicKey {
  readonly name: string;
  /** The whole of it, as written. */
  readonly text: string;
  readonly key: KeyObject;
}

/** What stands before the 32 bytes of an Ed25519 key in DER SubjectPublicKeyInfo (RFC 8410, section 4). */
const spkiPrefix = Buffer.from("302a300506032b6570032100", "hex");

/**
 * A narinfo has a handful of signatures. A hostile one could hold thousands under a trusted name, and each costs
 * 0.1 ms to refute; those beyond this number are not tried.
 */
const maxVerifications = 64;

/**
 * Reads a public key.
 *
 * @throws publicKeyInvalid
 */
export function parsePublicKey(text: string): PublicKey {
  const { name, bytes, why } = splitNamed(text, 32);
  if (bytes === undefined) throw publicKeyInvalid(text, why);
  const der = Buffer.concat([spkiPrefix, bytes]);
  return { name, text, key: createPublicKey({ key: der, format: "der", type: "spki" }) };
}

/**
 * Reads the value of a `Sig` line; `undefined` if it is malformed. An error for each would take its time: a hostile
 * narinfo can have two hundred thousand.
 */
export function parseSignature(text: string): Signature | undefined {
  const { name, bytes } = splitNamed(text, 64);
  return bytes === undefined ? undefined : { keyName: name, bytes };
}

/**
 * The first of the keys that signed this narinfo's fingerprint. A signature counts only for keys of its own name;
 * several keys may share one (Nix uses the first of them), so that a key can be replaced without a gap.
 *
 * The fingerprint covers store path, NarHash, NarSize and references, and nothing else of the narinfo.
 */
export function findTrustedKey(
  info: Signed & { readonly signatures: readonly Signature[] },
  keys: readonly PublicKey[],
): PublicKey | undefined {
  return findSigningKey(info.signatures, () => fingerprint(info), keys);
}

/**
 * The first of the keys that signed a message, by the same rules.
 *
 * @param message is called once, and only if a signature has the name of a key.
 */
export function findSigningKey(
  signatures: Iterable<Signature>,
  message: () => Uint8Array,
  keys: readonly PublicKey[],
): PublicKey | undefined {
  let bytes: Uint8Array | undefined;
  let verifications = 0;
  for (const signature of signatures) {
    for (const key of keys) {
      if (key.name !== signature.keyName) continue;
      if (verifications++ >= maxVerifications) return undefined;
      bytes ??= message();
      if (verify(null, bytes, key.key, signature.bytes)) return key;
    }
  }
  return undefined;
}

/** The text of a signature, in the form that {@link parseSignature} reads. */
export function formatSignature({ keyName, bytes }: Signature): string {
  return `${keyName}:${Buffer.from(bytes).toString("base64")}`;
}
