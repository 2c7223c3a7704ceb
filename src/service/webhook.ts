import type { Logger } from "pino";
import type { Health } from "../admin/health.ts";
import type { Metrics } from "../admin/metrics.ts";
import type { Config } from "../config.ts";
import type { Admission } from "../webhook/admission.ts";
import { createWebhookServer, type WebhookServer } from "../webhook/server.ts";
import type { KeyPair } from "../webhook/tls/key-pair.ts";
import { openCertificateFiles, type CertificateSource } from "./certificate-files.ts";
import type { Cluster } from "./cluster.ts";

/** A certificate is looked at again so often, since time alone can make it wrong. Milliseconds. */
const validityIntervalMs = 10_000;

/** The webhook's server with a certificate that is kept up to date. It does not listen yet. */
export async function startWebhook(options: {
  readonly config: Config["webhook"];
  readonly cluster: Cluster | undefined;
  readonly admission: () => Admission;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly health: Health;
}): Promise<{ readonly app: WebhookServer["app"]; close(): void }> {
  const { config, cluster, admission, log, metrics, health } = options;
  const { certificate } = config;
  const serving: { pair?: KeyPair; server?: WebhookServer; bundle?: { check(): void; close(): void } } = {};
  const report = (): void => {
    if (serving.pair === undefined) return;
    metrics.reload.certificate(serving.pair);
    // Of our own ones caBundle tells, by the API server's clock.
    health.set("certificate", (certificate !== "own" && validity(serving.pair, new Date())) || true);
  };
  const onCertificate = (next: KeyPair): void => {
    serving.server?.setKeyPair(next);
    serving.pair = next;
    report();
    serving.bundle?.check();
  };

  health.set("certificate", "there is none yet");
  const source =
    certificate === "own"
      ? await openOwn(cluster, onCertificate)
      : await openCertificateFiles({ files: certificate, onCertificate, metrics: metrics.reload, log });
  const keyPair = (serving.pair ??= source.initial);
  const server = createWebhookServer({
    admission,
    keyPair,
    tls: { minVersion: `TLSv${config.minTLSVersion}` },
    log,
    observer: metrics.webhook,
  });
  serving.server = server;
  if (cluster !== undefined && certificate !== "own")
    serving.bundle = cluster.watchBundle(() => serving.pair ?? keyPair);
  report();
  const timer = setInterval(report, validityIntervalMs);
  timer.unref();
  return {
    app: server.app,
    close() {
      clearInterval(timer);
      serving.bundle?.close();
      source.close();
    },
  };
}

function openOwn(
  cluster: Cluster | undefined,
  onCertificate: (pair: KeyPair) => void,
): Promise<CertificateSource> {
  if (cluster === undefined) throw new Error("certificates of our own need a cluster");
  return cluster.openCertificate(onCertificate);
}

/** Why a certificate cannot serve now; undefined if it can. */
function validity(pair: KeyPair, now: Date): string | undefined {
  if (now > pair.notAfter) return `expired at ${pair.notAfter.toISOString()}`;
  if (now < pair.notBefore) return `not valid before ${pair.notBefore.toISOString()}`;
  return undefined;
}
