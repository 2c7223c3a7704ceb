import type { PublicKey, Signature } from "../nix/signature.ts";

/** Names of keys that a message lists. */
const listedKeys = 5;

/**
 * Which signatures there are, none of them by a trusted key, so that one sees whether a key is missing or a signature is
 * wrong; `undefined`: there is none.
 */
export function describeSignatures(
  signatures: readonly Signature[],
  keys: readonly PublicKey[],
): string | undefined {
  if (signatures.length === 0) return undefined;
  const names = [...new Set(signatures.map(({ keyName }) => keyName))];
  const wrong = names.filter((name) => keys.some((key) => key.name === name));
  if (wrong.length > 0) return `its signature by ${wrong.join(", ")} is wrong`;
  const more = names.length > listedKeys ? `, and ${names.length - listedKeys} more` : "";
  return `it is signed by ${names.slice(0, listedKeys).join(", ")}${more}`;
}
