import { X509Certificate } from "node:crypto";
import { dayMilliseconds, issueServerCertificate, type Authority } from "../webhook/tls/authority.ts";
import type { KeyPair } from "../webhook/tls/key-pair.ts";
import { isDue } from "./authorities.ts";

/** What is known when a replica decides on its server certificate. */
export interface CertificateSituation {
  /** What this replica serves. */
  readonly served: KeyPair;
  /** The authority that signs now. */
  readonly current: Authority;
  /** Since when every API server can be expected to trust that authority, milliseconds since 1970; undefined: not yet. */
  readonly trustedSince: number | undefined;
  /** Whether the published bundle verifies what is served. */
  readonly verified: boolean;
  /** By the API server's clock. */
  readonly now: Date;
}

/**
 * How long after its publication each API server has certainly seen a new caBundle. They watch it, so it is milliseconds;
 * a watch that stalls is noticed later. Milliseconds.
 */
export const settleMs = 30_000;
/** A certificate that ends so soon is replaced, settled or not: the next look may come too late. Milliseconds. */
const lastMomentMs = 25_000;

/**
 * Whether to make a new server certificate.
 *
 * After a change of the authority the old certificate, which is still trusted, stays until the new authority is trusted
 * everywhere.
 */
export function needsCertificate(situation: CertificateSituation, settle = settleMs): boolean {
  const { served, current, trustedSince, verified, now } = situation;
  if (served.notAfter <= now || served.notBefore > now) return true;
  const endsSoon = served.notAfter.getTime() - now.getTime() < lastMomentMs;
  if (isIssuedBy(served, current)) return endsSoon || isDue(served, now);
  if (trustedSince === undefined) return false;
  if (endsSoon) return true;
  return !verified || now.getTime() - trustedSince >= settle;
}

/** Whether an authority, and no other, has made a certificate: no two of ours have the same subject. */
export function isIssuedBy(pair: KeyPair, authority: Authority): boolean {
  return new X509Certificate(pair.certificatePem).checkIssued(new X509Certificate(authority.certificatePem));
}

/** The names by which API servers call a Service, and people try it. */
export function serviceNames(service: string, namespace: string): readonly string[] {
  const qualified = `${service}.${namespace}`;
  return [service, qualified, `${qualified}.svc`, `${qualified}.svc.cluster.local`];
}

/**
 * Makes a server certificate for a Service.
 * @param validityMs milliseconds.
 */
export function issueFor(
  authority: Authority,
  names: { readonly service: string; readonly namespace: string },
  validityMs: number,
  now: Date,
): Promise<KeyPair> {
  return issueServerCertificate(authority, {
    dnsNames: serviceNames(names.service, names.namespace),
    ipAddresses: [],
    days: validityMs / dayMilliseconds,
    now,
  });
}
