import { readFile } from "node:fs/promises";
import type { Logger } from "pino";
import type { Health } from "../admin/health.ts";
import type { Metrics } from "../admin/metrics.ts";
import type { Config } from "../config.ts";
import { certificateInvalid } from "../errors.ts";
import { watchFiles } from "../reload.ts";
import type { Admission } from "../webhook/admission.ts";
import { createWebhookServer, type WebhookServer } from "../webhook/server.ts";
import { parseKeyPair, type KeyPair } from "../webhook/tls/key-pair.ts";

/** A certificate is looked at again so often, since time alone can make it wrong. Milliseconds. */
const validityIntervalMs = 10_000;

/** The webhook's server with its certificate files under watch. It does not listen yet. */
export async function startWebhook(options: {
  readonly config: Config;
  readonly admission: () => Admission;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly health: Health;
}): Promise<{ readonly app: WebhookServer["app"]; close(): void }> {
  const { config, admission, log, metrics, health } = options;
  const { certFile, keyFile, minTLSVersion } = config.webhook;
  const files = [certFile, keyFile] as const;
  const initial = [await readPem(certFile), await readPem(keyFile)] as const;
  let pair = parsePair(initial, files);
  const server = createWebhookServer({
    admission,
    keyPair: pair,
    tls: { minVersion: `TLSv${minTLSVersion}` },
    log,
    observer: metrics.webhook,
  });

  const report = (): void => {
    metrics.reload.certificate(pair);
    const now = new Date();
    health.set("certificate", validity(pair, now) ?? true);
  };
  report();
  const timer = setInterval(report, validityIntervalMs);
  timer.unref();
  const watcher = watchFiles(
    files,
    (contents) => {
      const next = parsePair(contents, files);
      server.setKeyPair(next);
      pair = next;
      report();
      metrics.reload.certificateReload("accepted");
      log.info({ certificate: certFile, notAfter: next.notAfter.toISOString() }, "certificate reloaded");
    },
    {
      initial,
      onReadError: (error) =>
        log.warn({ err: error }, "certificate unreadable, the last pair stays in force"),
      onRejected: (error) => {
        metrics.reload.certificateReload("rejected");
        log.warn({ err: error }, "certificate refused, the last good pair stays in force");
      },
    },
  );
  return {
    app: server.app,
    close() {
      clearInterval(timer);
      watcher.close();
    },
  };
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

/** Why a certificate cannot serve now; undefined if it can. */
function validity(pair: KeyPair, now: Date): string | undefined {
  if (now > pair.notAfter) return `expired at ${pair.notAfter.toISOString()}`;
  if (now < pair.notBefore) return `not valid before ${pair.notBefore.toISOString()}`;
  return undefined;
}
