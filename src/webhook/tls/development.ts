import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { fileExists, fileUnreadable, fileUnwritable } from "../../errors.ts";
import { createAuthority, issueServerCertificate } from "./authority.ts";

export interface DevelopmentCertificateOptions {
  /** DNS names and IP addresses of the server; those of developmentNames without it. */
  readonly names?: readonly string[];
  /** Validity of both certificates. */
  readonly days: number;
  readonly now: Date;
  /** Keeps the CA's private key as ca.key. Whoever has it can make certificates that the CA's clients believe. */
  readonly keepCaKey?: boolean;
  /** Overwrites files that this function did not make. */
  readonly force?: boolean;
}

/** What was written. */
export interface DevelopmentCertificates {
  readonly caPath: string;
  readonly certificatePath: string;
  readonly keyPath: string;
  readonly caKeyPath?: string;
  /** ca.pem in base64, as `caBundle` of a webhook configuration wants it. */
  readonly caBundle: string;
  readonly names: readonly string[];
  readonly notAfter: Date;
}

/** How a development CA's subject begins: the mark by which files of ours are known again. */
const caName = "nix-closure development CA";

/** The names of a server that runs on this machine or as this Service; every form that a client in the cluster may use. */
export function developmentNames(
  service = "nix-closure-webhook",
  namespace = "nix-closure",
): readonly string[] {
  const qualified = `${service}.${namespace}`;
  return [
    "localhost",
    "127.0.0.1",
    "::1",
    service,
    qualified,
    `${qualified}.svc`,
    `${qualified}.svc.cluster.local`,
  ];
}

/**
 * Writes a CA and a server certificate for development: `ca.pem`, `tls.pem` (the server's certificate alone, since
 * clients hold the CA), `tls.key` and, if asked, `ca.key`. Keys get mode 0600, and each file appears whole.
 *
 * Without `keepCaKey` the CA's private key is never written, and one of an earlier run is removed.
 * Throws fileExists for a file that it did not make, before anything is written; certificateInvalid for names or days
 * that no certificate can have; fileUnreadable and fileUnwritable.
 */
export async function writeDevelopmentCertificates(
  directory: string,
  options: DevelopmentCertificateOptions,
): Promise<DevelopmentCertificates> {
  const { days, now, keepCaKey = false, force = false, names = developmentNames() } = options;
  const paths = {
    caPath: join(directory, "ca.pem"),
    certificatePath: join(directory, "tls.pem"),
    keyPath: join(directory, "tls.key"),
    caKeyPath: join(directory, "ca.key"),
  };
  if (!force) {
    await refuseForeign(paths.caPath, paths.caKeyPath);
    await refuseForeign(paths.certificatePath, paths.keyPath);
  }
  const staleCaKey = !keepCaKey && (await isOwnKey(paths.caPath, paths.caKeyPath));

  const authority = await createAuthority({ commonName: caName, days, now });
  const server = await issueServerCertificate(authority, {
    dnsNames: names.filter((name) => isIP(name) === 0),
    ipAddresses: names.filter((name) => isIP(name) !== 0),
    days,
    now,
  });

  await mkdir(directory, { recursive: true }).catch(unwritable(directory));
  if (keepCaKey) await replaceFile(paths.caKeyPath, authority.keyPem, 0o600);
  if (staleCaKey) await rm(paths.caKeyPath).catch(unwritable(paths.caKeyPath));
  await replaceFile(paths.caPath, authority.certificatePem, 0o644);
  await replaceFile(paths.keyPath, server.keyPem, 0o600);
  await replaceFile(paths.certificatePath, server.certificatePem, 0o644);

  const { caKeyPath, ...always } = paths;
  return {
    ...always,
    ...(keepCaKey && { caKeyPath }),
    caBundle: Buffer.from(authority.certificatePem).toString("base64"),
    names,
    notAfter: server.notAfter,
  };
}

/** Throws fileExists for a certificate that no development CA has signed, and for a key that is not its key. */
async function refuseForeign(certificatePath: string, keyPath: string): Promise<void> {
  const certificatePem = await readIfThere(certificatePath);
  if (certificatePem !== undefined && parseOwn(certificatePem) === undefined)
    throw fileExists(certificatePath);
  if ((await readIfThere(keyPath)) !== undefined && !(await isOwnKey(certificatePath, keyPath))) {
    throw fileExists(keyPath);
  }
}

/** True for the key of a certificate that a development CA has signed. */
async function isOwnKey(certificatePath: string, keyPath: string): Promise<boolean> {
  const certificatePem = await readIfThere(certificatePath);
  const keyPem = await readIfThere(keyPath);
  if (certificatePem === undefined || keyPem === undefined) return false;
  const certificate = parseOwn(certificatePem);
  return certificate !== undefined && isKeyOf(certificate, keyPem);
}

function parseOwn(pem: string): X509Certificate | undefined {
  try {
    const certificate = new X509Certificate(pem);
    return certificate.issuer.startsWith(`CN=${caName} `) ? certificate : undefined;
  } catch {
    // Not a certificate at all, so not one of ours.
    return undefined;
  }
}

function isKeyOf(certificate: X509Certificate, keyPem: string): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(keyPem));
  } catch {
    // Not a private key at all, so not one of ours.
    return false;
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw fileUnreadable(path, error instanceof Error ? error.message : String(error)).causedBy(error);
  }
}

/** Writes beside the file and renames, so that nobody reads half a file, and a key never has another mode. */
async function replaceFile(path: string, text: string, mode: number): Promise<void> {
  const temporary = `${path}.${process.pid}.new`;
  try {
    await rm(temporary, { force: true });
    await writeFile(temporary, text, { mode, flag: "wx" });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    unwritable(path)(error);
  }
}

function unwritable(path: string): (error: unknown) => never {
  return (error) => {
    throw fileUnwritable(path, error instanceof Error ? error.message : String(error)).causedBy(error);
  };
}
