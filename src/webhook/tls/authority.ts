import { createPrivateKey, generateKeyPair, randomBytes, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { promisify } from "node:util";
import { certificateInvalid, quote } from "../../errors.ts";
import { signCertificate, type CertificateContents } from "./certificate.ts";
import { parseKeyPair, type KeyPair } from "./key-pair.ts";

/** A certificate authority with its private key. A pair that was stored as PEM becomes one again by parseKeyPair. */
export type Authority = KeyPair;

export interface AuthorityOptions {
  /** What the subject begins with; a random ending makes it another subject for each generation. */
  readonly commonName: string;
  /** Validity from `now` on. */
  readonly days: number;
  readonly now: Date;
}

export interface ServerCertificateOptions {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  /** Validity from `now` on; it ends with the authority's at the latest. */
  readonly days: number;
  readonly now: Date;
}

/** Every certificate begins an hour before it is made, for clients whose clock is late. */
export const clockSkewMilliseconds = 3_600_000;
export const dayMilliseconds = 86_400_000;
/** 100 years: longer is a mistake, and far longer does not fit into a certificate. */
const maxDays = 36_500;
/** RFC 5280, appendix A.1: ub-common-name. */
const maxCommonName = 64;

/**
 * Makes a certificate authority: a new RSA key of 2048 bits and a self-signed certificate.
 *
 * Two generations never have the same subject: a client that knows the CA of both finds the right one by its name.
 * Throws certificateInvalid for a name or a validity that no certificate can have.
 */
export async function createAuthority(options: AuthorityOptions): Promise<Authority> {
  const commonName = `${options.commonName} ${randomBytes(4).toString("hex")}`;
  const validity = validityFrom(commonName, options.now, options.days);
  if (!/^[A-Za-z0-9 ./:-]+$/.test(commonName) || commonName.length > maxCommonName) {
    throw certificateInvalid(
      quote(options.commonName),
      "is no name for a CA: up to 55 letters, digits, spaces and the marks . / : -",
    );
  }
  const key = await generateRsaKey();
  const contents: CertificateContents = {
    commonName,
    publicKeyPem: key.publicKey,
    ...validity,
    usage: { kind: "authority" },
  };
  const pair = readBack(sign(contents, { keyPem: key.privateKey }), key.privateKey, contents);
  checkSignature(pair, pair, commonName);
  return pair;
}

/**
 * Makes a certificate for a TLS server of these names, with a new RSA key of 2048 bits, signed by the authority.
 *
 * Throws certificateInvalid for a name that is none, and for an authority that is expired, is no CA or has no RSA key.
 */
export async function issueServerCertificate(
  authority: Authority,
  options: ServerCertificateOptions,
): Promise<KeyPair> {
  const validity = validityFrom(serverCommonName, options.now, options.days);
  const dnsNames = [...new Set(options.dnsNames)];
  const ipAddresses = [...new Set(options.ipAddresses)];
  checkNames(dnsNames, ipAddresses);
  const issuer = usableAuthority(authority, options.now);

  const key = await generateRsaKey();
  const contents: CertificateContents = {
    commonName: serverCommonName,
    publicKeyPem: key.publicKey,
    notBefore: validity.notBefore,
    notAfter: authority.notAfter < validity.notAfter ? authority.notAfter : validity.notAfter,
    usage: { kind: "server", dnsNames, ipAddresses },
  };
  const pair = readBack(sign(contents, issuer), key.privateKey, contents);
  checkSignature(pair, authority, serverCommonName);
  return pair;
}

/** Clients look at the alternative names alone (RFC 9525); this one is for people. */
const serverCommonName = "nix-closure server";

/** RSA because node-forge signs nothing else; by node:crypto because that works off the event loop. */
async function generateRsaKey(): Promise<{ publicKey: string; privateKey: string }> {
  return promisify(generateKeyPair)("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
}

function validityFrom(subject: string, now: Date, days: number): { notBefore: Date; notAfter: Date } {
  if (!(days > 0 && days <= maxDays)) {
    throw certificateInvalid(quote(subject), `cannot be valid for ${days} days, only for up to ${maxDays}`);
  }
  // Certificates count whole seconds.
  const seconds = (milliseconds: number) => new Date(Math.floor(milliseconds / 1000) * 1000);
  return {
    notBefore: seconds(now.getTime() - clockSkewMilliseconds),
    notAfter: seconds(now.getTime() + days * dayMilliseconds),
  };
}

function checkNames(dnsNames: readonly string[], ipAddresses: readonly string[]): void {
  if (dnsNames.length + ipAddresses.length === 0) {
    throw certificateInvalid(quote(serverCommonName), "needs at least one DNS name or IP address");
  }
  for (const name of dnsNames) {
    const labels = name.split(".");
    if (name.length > 253 || isIP(name) !== 0 || !labels.every((label) => dnsLabel.test(label))) {
      throw certificateInvalid(
        quote(name),
        "is not a DNS name (letters, digits and hyphens, divided by dots)",
      );
    }
  }
  for (const address of ipAddresses) {
    // node:net takes a zone (fe80::1%eth0) for a part of the address, a certificate has no place for it.
    if (isIP(address) === 0 || address.includes("%")) {
      throw certificateInvalid(quote(address), "is not an IP address");
    }
  }
}

/** RFC 1123, section 2.1. */
const dnsLabel = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;

/** The authority with its key in the one form that node-forge reads, after node:crypto has found both in order. */
function usableAuthority(authority: Authority, now: Date): { certificatePem: string; keyPem: string } {
  const label = "of the authority";
  parseKeyPair(authority, { certificate: label, key: label });
  const certificate = new X509Certificate(authority.certificatePem);
  if (!certificate.ca) throw certificateInvalid(label, "is not a CA's");
  if (certificate.publicKey.asymmetricKeyType !== "rsa") {
    throw certificateInvalid(
      label,
      `has a key of type ${certificate.publicKey.asymmetricKeyType}, only RSA can sign here`,
    );
  }
  if (certificate.validToDate <= now) {
    throw certificateInvalid(label, `is expired since ${certificate.validToDate.toISOString()}`);
  }
  const keyPem = createPrivateKey(authority.keyPem).export({ type: "pkcs8", format: "pem" }).toString();
  return { certificatePem: certificate.toString(), keyPem };
}

function sign(...[contents, signer]: Parameters<typeof signCertificate>): string {
  try {
    return signCertificate(contents, signer);
  } catch (error) {
    throw certificateInvalid(quote(contents.commonName), `cannot be made: ${String(error)}`).causedBy(error);
  }
}

/** Reads a new certificate with node:crypto and holds it against what it was to say. */
function readBack(certificatePem: string, keyPem: string, wanted: CertificateContents): KeyPair {
  const wrong = (what: string) =>
    certificateInvalid(quote(wanted.commonName), `was made with a wrong ${what}`);
  const pair = parseKeyPair(
    { certificatePem, keyPem },
    { certificate: wanted.commonName, key: wanted.commonName },
  );
  const certificate = new X509Certificate(certificatePem);
  if (certificate.subject !== `CN=${wanted.commonName}`) throw wrong("subject");
  if (certificate.ca !== (wanted.usage.kind === "authority")) throw wrong("CA flag");
  if (pair.notBefore.getTime() !== wanted.notBefore.getTime()) throw wrong("notBefore");
  if (pair.notAfter.getTime() !== wanted.notAfter.getTime()) throw wrong("notAfter");
  if (wanted.usage.kind === "server") {
    for (const name of wanted.usage.dnsNames) {
      if (certificate.checkHost(name, { subject: "never" }) === undefined) throw wrong(`DNS name ${name}`);
    }
    for (const address of wanted.usage.ipAddresses) {
      if (certificate.checkIP(address) === undefined) throw wrong(`IP address ${address}`);
    }
  }
  return pair;
}

function checkSignature(pair: KeyPair, authority: Authority, name: string): void {
  const certificate = new X509Certificate(pair.certificatePem);
  const issuer = new X509Certificate(authority.certificatePem);
  if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) {
    throw certificateInvalid(quote(name), "does not carry the signature of its authority");
  }
}
