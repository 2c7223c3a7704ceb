import { randomBytes } from "node:crypto";
import forge from "node-forge";

/** What a certificate says; everything that is not listed is the same for all of ours. */
export interface CertificateContents {
  /** CN of the subject, in the characters of PrintableString. */
  readonly commonName: string;
  /** SPKI, PEM; an RSA key. */
  readonly publicKeyPem: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly usage: CertificateAuthorityUsage | ServerUsage;
}

/** A certificate that signs server certificates and nothing below them. */
export interface CertificateAuthorityUsage {
  readonly kind: "authority";
}

/** A certificate of a TLS server. */
export interface ServerUsage {
  readonly kind: "server";
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

/** Who signs: a CA certificate with its key. */
export interface Issuer {
  readonly certificatePem: string;
  readonly keyPem: string;
}

/**
 * Assembles an X.509 v3 certificate, signs it with SHA-256 and RSA, and returns it as PEM.
 *
 * `signer` is an issuer, or the certificate's own private key (PKCS #8, PEM) for a self-signed one.
 * node-forge only writes here; what it wrote is to be read back by node:crypto (see authority.ts), because
 * the advisories against it concern reading and verifying. It takes some 30 ms of the event loop.
 */
export function signCertificate(contents: CertificateContents, signer: Issuer | { keyPem: string }): string {
  const issuer = "certificatePem" in signer ? forge.pki.certificateFromPem(signer.certificatePem) : undefined;
  const subject = [{ name: "commonName", value: contents.commonName }];

  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(contents.publicKeyPem);
  certificate.serialNumber = randomSerialNumber();
  certificate.validity.notBefore = contents.notBefore;
  certificate.validity.notAfter = contents.notAfter;
  certificate.setSubject(subject);
  certificate.setIssuer(issuer === undefined ? subject : issuer.subject.attributes);
  certificate.setExtensions([
    ...usageExtensions(contents.usage),
    { name: "subjectKeyIdentifier" },
    { name: "authorityKeyIdentifier", keyIdentifier: issuer === undefined ? true : subjectKeyId(issuer) },
  ]);
  certificate.sign(forge.pki.privateKeyFromPem(signer.keyPem), forge.md.sha256.create());
  // node-forge ends lines as RFC 1421 does.
  return forge.pki.certificateToPem(certificate).replaceAll("\r\n", "\n");
}

/**
 * 16 random bytes as hexadecimal. The first byte is 01xxxxxx: positive, and no leading zero byte, which DER
 * forbids (RFC 5280, section 4.1.2.2, allows up to 20 octets).
 */
function randomSerialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}

// Extensions in node-forge's own shape; RFC 5280, section 4.2.1, says what they mean.
function usageExtensions(usage: CertificateContents["usage"]): readonly object[] {
  switch (usage.kind) {
    case "authority":
      return [
        { name: "basicConstraints", critical: true, cA: true, pathLenConstraint: 0 },
        { name: "keyUsage", critical: true, keyCertSign: true, cRLSign: true },
      ];
    case "server":
      return [
        { name: "basicConstraints", critical: true, cA: false },
        { name: "keyUsage", critical: true, digitalSignature: true, keyEncipherment: true },
        { name: "extKeyUsage", serverAuth: true },
        {
          name: "subjectAltName",
          altNames: [
            ...usage.dnsNames.map((value) => ({ type: generalName.dns, value })),
            ...usage.ipAddresses.map((ip) => ({ type: generalName.ip, ip })),
          ],
        },
      ];
  }
}

/** Choices of GeneralName (RFC 5280, section 4.2.1.6). */
const generalName = { dns: 2, ip: 7 } as const;

/** The issuer's own key identifier, raw; computed where its certificate has none. */
function subjectKeyId(issuer: forge.pki.Certificate): string {
  const extension = issuer.getExtension("subjectKeyIdentifier");
  if (extension !== undefined && extension !== null && "subjectKeyIdentifier" in extension) {
    const hex = extension.subjectKeyIdentifier;
    if (typeof hex === "string") return forge.util.hexToBytes(hex);
  }
  return issuer.generateSubjectKeyIdentifier().getBytes();
}
