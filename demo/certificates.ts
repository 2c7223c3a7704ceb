import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeDevelopmentCertificates } from "../src/webhook/tls/development.ts";

/** Files of a CA and of a server certificate that it has signed. */
export interface CertificateFiles {
  readonly caPath: string;
  readonly certificatePath: string;
  readonly keyPath: string;
}

/** Days that new certificates are valid, as `nix-closure certs` has it. */
const days = 30;

/**
 * The development certificates of a directory; new ones if they are missing, expired, or of no use for a client that
 * calls localhost.
 *
 * @throws fileExists for files of other origin
 */
export async function ensureCertificates(directory: string, now: Date): Promise<CertificateFiles> {
  const files = {
    caPath: join(directory, "ca.pem"),
    certificatePath: join(directory, "tls.pem"),
    keyPath: join(directory, "tls.key"),
  };
  return (await areUsable(files, now)) ? files : writeDevelopmentCertificates(directory, { days, now });
}

async function areUsable(
  { caPath, certificatePath, keyPath }: CertificateFiles,
  now: Date,
): Promise<boolean> {
  try {
    const ca = new X509Certificate(await readFile(caPath));
    const certificate = new X509Certificate(await readFile(certificatePath));
    return (
      certificate.verify(ca.publicKey) &&
      certificate.checkPrivateKey(createPrivateKey(await readFile(keyPath))) &&
      certificate.checkHost("localhost") !== undefined &&
      certificate.validFromDate <= now &&
      now < certificate.validToDate
    );
  } catch {
    // Missing, or not what its name says: writing new ones tells which.
    return false;
  }
}
