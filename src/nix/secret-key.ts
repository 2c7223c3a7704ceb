import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { secretKeyInvalid } from "../errors.ts";
import { splitNamed } from "./named-bytes.ts";
import { parsePublicKey, type PublicKey } from "./signature.ts";

/** A secret key as `nix key generate-secret` prints it: `<name>:<base64>`. */
export interface SecretKey {
  readonly name: string;
  readonly key: KeyObject;
}

/** libsodium's form: the seed, and the public key that follows from it. */
const seedBytes = 32;
const secretKeyBytes = 64;

/** What stands before the seed of an Ed25519 key in DER PrivateKeyInfo (RFC 8410, section 7). */
const pkcs8Prefix = Buffer.from("302e020100300506032b657004220420", "hex");

/**
 * Reads a secret key; white space around it, such as the newline at a file's end, does not count.
 *
 * @throws secretKeyInvalid, which never shows the key
 */
export function parseSecretKey(text: string): SecretKey {
  const { name, bytes, why } = splitNamed(text.trim(), secretKeyBytes);
  if (bytes === undefined) throw secretKeyInvalid(explain(text.trim(), why));
  // Signatures are written side by side, with blanks between them.
  if (/\s/.test(name)) throw secretKeyInvalid("its name has white space");
  const der = Buffer.concat([pkcs8Prefix, bytes.subarray(0, seedBytes)]);
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  if (!publicBytes(key).equals(bytes.subarray(seedBytes))) {
    throw secretKeyInvalid("its second half is not the public key of the first one; is it damaged?");
  }
  return { name, key };
}

/** The public key of a secret key. */
export function publicKeyOf({ name, key }: SecretKey): PublicKey {
  return parsePublicKey(`${name}:${publicBytes(key).toString("base64")}`);
}

function publicBytes(key: KeyObject): Buffer {
  const spki = createPublicKey(key).export({ format: "der", type: "spki" });
  return spki.subarray(-seedBytes);
}

function explain(text: string, why: string): string {
  if (text === "") return "it is empty";
  if (splitNamed(text, seedBytes).bytes !== undefined) return "it has 32 bytes, as a public key has";
  return why;
}
