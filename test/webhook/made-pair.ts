import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeDevelopmentCertificates } from "../../src/webhook/tls/development.ts";
import { parseKeyPair, type KeyPair } from "../../src/webhook/tls/key-pair.ts";

/** A server's key pair, and the certificate of the CA that signed it, PEM. */
export interface TestPair {
  readonly pair: KeyPair;
  readonly ca: string;
}

/** Makes a key pair with a CA of its own. */
export async function makePair(): Promise<TestPair> {
  const directory = await mkdtemp(join(tmpdir(), "nix-closure-webhook-"));
  try {
    const files = await writeDevelopmentCertificates(directory, { days: 1, now: new Date() });
    const pem = {
      certificatePem: await readFile(files.certificatePath, "utf8"),
      keyPem: await readFile(files.keyPath, "utf8"),
    };
    const pair = parseKeyPair(pem, { certificate: files.certificatePath, key: files.keyPath });
    return { pair, ca: await readFile(files.caPath, "utf8") };
  } finally {
    await rm(directory, { recursive: true });
  }
}
