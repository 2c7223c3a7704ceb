import { X509Certificate } from "node:crypto";
import { NixClosureError } from "../errors.ts";
import {
  clockSkewMilliseconds,
  createAuthority,
  dayMilliseconds,
  type Authority,
} from "../webhook/tls/authority.ts";
import { parseKeyPair } from "../webhook/tls/key-pair.ts";
import type { SecretData } from "./api-server.ts";

/** The certificate authorities of all replicas, as their Secret holds them. */
export interface Authorities {
  /** It signs server certificates. */
  readonly current: Authority;
  /**
   * Earlier ones, the latest first, without their keys. Each stays until its own end: no certificate that it signed is
   * valid for longer.
   */
  readonly previous: readonly X509Certificate[];
}

/** Keys of the Secret. */
export const secretKeys = { certificate: "ca.crt", key: "ca.key", previous: "previous.crt" } as const;

/** More is a mistake: somebody deletes the Secret again and again. */
const maxPrevious = 8;

/** Reads the Secret; undefined if it holds no authority that can sign at this time. */
export function parseAuthorities(data: SecretData, now: Date): Authorities | undefined {
  try {
    const current = parseKeyPair(
      { certificatePem: data[secretKeys.certificate] ?? "", keyPem: data[secretKeys.key] ?? "" },
      { certificate: secretKeys.certificate, key: secretKeys.key },
    );
    const certificate = new X509Certificate(current.certificatePem);
    // Somebody else's may be there: one that node-forge cannot sign with, or no authority at all.
    if (!certificate.ca || certificate.publicKey.asymmetricKeyType !== "rsa") return undefined;
    if (current.notAfter <= now || current.notBefore > now) return undefined;
    return { current, previous: parseCertificates(data[secretKeys.previous] ?? "") };
  } catch (error) {
    if (error instanceof NixClosureError) return undefined;
    throw error;
  }
}

export function formatAuthorities({ current, previous }: Authorities): SecretData {
  return {
    [secretKeys.certificate]: current.certificatePem,
    [secretKeys.key]: current.keyPem,
    [secretKeys.previous]: previous.map(String).join(""),
  };
}

/** Whether it is time for the next certificate: after two thirds of the life of this one. */
export function isDue(pair: { readonly notBefore: Date; readonly notAfter: Date }, now: Date): boolean {
  const begin = pair.notBefore.getTime() + clockSkewMilliseconds;
  return now.getTime() >= begin + (2 / 3) * (pair.notAfter.getTime() - begin);
}

/**
 * Makes the next authority.
 * @param known the certificates that may still be in use, the latest first.
 * @param validityMs milliseconds.
 */
export async function nextAuthorities(
  known: readonly X509Certificate[],
  validityMs: number,
  now: Date,
): Promise<Authorities> {
  const current = await createAuthority({
    commonName: "nix-closure CA",
    days: validityMs / dayMilliseconds,
    now,
  });
  const distinct = new Map(known.map((certificate) => [certificate.fingerprint256, certificate]));
  const valid = [...distinct.values()].filter((certificate) => certificate.validToDate > now);
  return { current, previous: valid.slice(0, maxPrevious) };
}

/** Every authority whose certificates may be in use at this time, the current one first. */
export function certificatesOf({ current, previous }: Authorities): readonly X509Certificate[] {
  return [new X509Certificate(current.certificatePem), ...previous];
}

/** What clients are to trust, PEM. */
export function bundleOf(authorities: Authorities, now: Date): string {
  const [current, ...previous] = certificatesOf(authorities);
  return [current, ...previous.filter((certificate) => certificate.validToDate > now)].map(String).join("");
}

/** The certificates of a PEM file that can be read; what else is in it is left out. */
export function parseCertificates(pem: string): readonly X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  return blocks.flatMap((block) => {
    try {
      return [new X509Certificate(block)];
    } catch {
      return [];
    }
  });
}
