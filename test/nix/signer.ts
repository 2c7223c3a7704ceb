import { createHash, createPrivateKey, createPublicKey, sign } from "node:crypto";
import { fingerprint, type Signed } from "../../src/nix/fingerprint.ts";
import type { SecretKey } from "../../src/nix/secret-key.ts";

/** A key pair for tests. */
export interface Signer {
  /** `<name>:<base64>`, as a source's publicKeys has it. */
  readonly publicKey: string;
  readonly secretKey: SecretKey;
  /** The value of a narinfo's `Sig` line. */
  sign(info: Signed): string;
}

/** A signer with a key that follows from its name; another seed makes another key of the same name. */
export function createSigner(name: string, seed = name): Signer {
  const secret = createHash("sha256").update(`nix-closure test key ${seed}`).digest();
  // PrivateKeyInfo of an Ed25519 key: RFC 8410, section 7.
  const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), secret]);
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const spki = createPublicKey(key).export({ format: "der", type: "spki" });
  return {
    secretKey: { name, key },
    publicKey: `${name}:${spki.subarray(-32).toString("base64")}`,
    sign: (info) => `${name}:${sign(null, fingerprint(info), key).toString("base64")}`,
  };
}

/** The fields of a narinfo, as text; those that are left out are not written, but for URL. */
export interface NarInfoFields {
  readonly storePath: string;
  readonly url?: string;
  readonly compression?: string;
  readonly fileHash?: string;
  readonly fileSize?: number;
  readonly narHash: string;
  readonly narSize: number;
  /** Store paths or base names. */
  readonly references?: readonly string[];
  readonly deriver?: string;
  readonly signatures?: readonly string[];
  readonly contentAddress?: string;
}

/** Writes a narinfo as NarInfo::to_string does. */
export function formatNarInfo(fields: NarInfoFields): string {
  const lines: readonly (readonly [string, string | number | undefined])[] = [
    ["StorePath", fields.storePath],
    ["URL", fields.url ?? "nar/test.nar"],
    ["Compression", fields.compression],
    ["FileHash", fields.fileHash],
    ["FileSize", fields.fileSize],
    ["NarHash", fields.narHash],
    ["NarSize", fields.narSize],
    ["References", fields.references?.map((reference) => reference.replace("/nix/store/", "")).join(" ")],
    ["Deriver", fields.deriver],
    ...(fields.signatures ?? []).map((signature) => ["Sig", signature] as const),
    ["CA", fields.contentAddress],
  ];
  return lines.flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}\n`])).join("");
}
