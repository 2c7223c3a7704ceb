import { readFile, writeFile } from "node:fs/promises";
import {
  fileUnreadable,
  fileUnwritable,
  keyExists,
  keyNameInvalid,
  type NixClosureError,
} from "../errors.ts";
import { makeKeyPair } from "../nix/key-pair.ts";
import { parseSecretKey, type SecretKey } from "../nix/secret-key.ts";
import { WrongArguments } from "./exit-codes.ts";

/** Names go into file names, lists with blanks between, and `<name>:<base64>`. */
const namePattern = /^[A-Za-z0-9][\w.+-]*$/;

/**
 * Makes a key, and writes its secret half to a file that only its owner can read.
 *
 * @returns the public half, `<name>:<base64>`.
 * @throws WrongArguments for a name that no key can have; keyExists, fileUnwritable
 */
export async function writeKey(name: string, file: string): Promise<string> {
  if (!namePattern.test(name)) throw new WrongArguments(keyNameInvalid(name));
  const { secretKey, publicKey } = makeKeyPair(name);
  try {
    await writeFile(file, `${secretKey}\n`, { flag: "wx", mode: 0o600 });
  } catch (error) {
    throw unwritable(file, error);
  }
  return publicKey;
}

/**
 * Reads the secret key in a file.
 *
 * @throws WrongArguments
 */
export async function readKey(file: string): Promise<SecretKey> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new WrongArguments(fileUnreadable(file, why).causedBy(error));
  }
  return parseSecretKey(text);
}

function unwritable(file: string, error: unknown): NixClosureError {
  if (error instanceof Error && "code" in error && error.code === "EEXIST") return keyExists(file);
  return fileUnwritable(file, error instanceof Error ? error.message : String(error)).causedBy(error);
}
