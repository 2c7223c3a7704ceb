import { generateKeyPairSync } from "node:crypto";

/** Both halves of a key in the form of Nix's files. */
export interface KeyPair {
  /** `<name>:<base64 of seed and public key>` */
  readonly secretKey: string;
  /** `<name>:<base64>` */
  readonly publicKey: string;
}

/** Makes an Ed25519 key, as `nix key generate-secret` does. */
export function makeKeyPair(name: string): KeyPair {
  const { privateKey } = generateKeyPairSync("ed25519");
  const { d = "", x = "" } = privateKey.export({ format: "jwk" });
  const [seed, point] = [Buffer.from(d, "base64url"), Buffer.from(x, "base64url")];
  return {
    secretKey: `${name}:${Buffer.concat([seed, point]).toString("base64")}`,
    publicKey: `${name}:${point.toString("base64")}`,
  };
}
