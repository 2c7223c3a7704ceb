import { createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";
import { createSecureContext } from "node:tls";
import { certificateInvalid } from "../../errors.ts";

/** A certificate with its private key, as a TLS server needs them. */
export interface KeyPair {
  /** The certificate, then those that lead to its CA, if any. */
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** SHA-256 of the certificate, `AB:CD:...`, as openssl and browsers print it. */
  readonly fingerprint: string;
}

/** The files that a pair came from, for messages. */
export interface KeyPairFiles {
  readonly certificate: string;
  readonly key: string;
}

/**
 * Reads a certificate and its private key, and makes sure that a TLS server can use them.
 *
 * Every certificate of the file has to be whole, and the key has to belong to the first of them.
 * A pair that is out of its validity is returned like any other: compare `notBefore` and `notAfter`.
 * Throws certificateInvalid, with the name of the file that is wrong.
 */
export function parseKeyPair(
  pem: { readonly certificatePem: string; readonly keyPem: string },
  files: KeyPairFiles,
): KeyPair {
  const certificate = parseCertificates(pem.certificatePem, files.certificate);
  const key = parsePrivateKey(pem.keyPem, files.key);
  if (!certificate.checkPrivateKey(key)) {
    throw certificateInvalid(
      files.key,
      `is not the private key of the first certificate in ${files.certificate}`,
    );
  }
  try {
    // What OpenSSL takes for a file is not yet what it takes for a server: it refuses keys that are too short.
    createSecureContext({ cert: pem.certificatePem, key: pem.keyPem });
  } catch (error) {
    throw certificateInvalid(files.certificate, `cannot serve TLS: ${reason(error)}`).causedBy(error);
  }
  return {
    certificatePem: pem.certificatePem,
    keyPem: pem.keyPem,
    notBefore: certificate.validFromDate,
    notAfter: certificate.validToDate,
    fingerprint: certificate.fingerprint256,
  };
}

/** The first certificate. The others are parsed too: OpenSSL would pass over a damaged one at the end in silence. */
function parseCertificates(pem: string, file: string): X509Certificate {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  const begins = pem.split("-----BEGIN CERTIFICATE-----").length - 1;
  if (begins === 0) throw certificateInvalid(file, "holds no certificate in PEM form");
  if (blocks.length !== begins) {
    throw certificateInvalid(file, `is cut off or damaged: certificate ${blocks.length + 1} has no end`);
  }
  const [first] = blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      throw certificateInvalid(file, `certificate ${index + 1} cannot be read: ${reason(error)}`).causedBy(
        error,
      );
    }
  });
  if (first === undefined) throw certificateInvalid(file, "holds no certificate in PEM form");
  return first;
}

function parsePrivateKey(pem: string, file: string): KeyObject {
  if (!pem.includes("-----BEGIN ")) throw certificateInvalid(file, "holds no private key in PEM form");
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(pem)) {
    throw certificateInvalid(file, "is encrypted with a passphrase, which the server has no way to ask for");
  }
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw certificateInvalid(file, `the private key cannot be read: ${reason(error)}`).causedBy(error);
  }
}

/** OpenSSL's own words without its routine names and numbers. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "reason" in error && typeof error.reason === "string" ? error.reason : error.message;
}
