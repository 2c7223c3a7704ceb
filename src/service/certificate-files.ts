import { readFile } from "node:fs/promises";
import type { Logger } from "pino";
import type { Metrics } from "../admin/metrics.ts";
import type { CertificateFiles } from "../config.ts";
import { certificateInvalid } from "../errors.ts";
import { watchFiles } from "../reload.ts";
import { parseKeyPair, type KeyPair } from "../webhook/tls/key-pair.ts";

/** A certificate from wherever it comes, kept up to date. */
export interface CertificateSource {
  readonly initial: KeyPair;
  close(): void;
}

/**
 * The certificate in two files, which are watched.
 * @param onCertificate takes a new pair in use; what it throws refuses it.
 * @throws certificateInvalid
 */
export async function openCertificateFiles(options: {
  readonly files: CertificateFiles;
  readonly onCertificate: (pair: KeyPair) => void;
  readonly metrics: Metrics["reload"];
  readonly log: Logger;
}): Promise<CertificateSource> {
  const { onCertificate, metrics, log } = options;
  const files = [options.files.certFile, options.files.keyFile] as const;
  const initial = [await readPem(files[0]), await readPem(files[1])] as const;
  const pair = parsePair(initial, files);
  const watcher = watchFiles(
    files,
    (contents) => {
      const next = parsePair(contents, files);
      onCertificate(next);
      metrics.certificateReload("accepted");
      log.info({ certificate: files[0], notAfter: next.notAfter.toISOString() }, "certificate reloaded");
    },
    {
      initial,
      onReadError: (error) => {
        metrics.certificateReload("unreadable");
        log.warn({ err: error }, "certificate unreadable, the last pair stays in force");
      },
      onRejected: (error) => {
        metrics.certificateReload("rejected");
        log.warn({ err: error }, "certificate refused, the last good pair stays in force");
      },
    },
  );
  return { initial: pair, close: () => watcher.close() };
}

async function readPem(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
    const why = missing ? "there is no such file" : error instanceof Error ? error.message : String(error);
    throw certificateInvalid(file, why).causedBy(error);
  }
}

function parsePair(
  [certificatePem, keyPem]: readonly [string, string],
  [certificate, key]: readonly [string, string],
): KeyPair {
  return parseKeyPair({ certificatePem, keyPem }, { certificate, key });
}
