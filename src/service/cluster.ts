import type { Logger } from "pino";
import type { Health } from "../admin/health.ts";
import type { Metrics } from "../admin/metrics.ts";
import type { ApiServer } from "../cluster/api-server.ts";
import { keepCertificates } from "../cluster/certificates.ts";
import { guardImageVolumes, type Guard } from "../cluster/guard.ts";
import { connectToCluster } from "../cluster/kubernetes-client.ts";
import { watchPublishedBundle } from "../cluster/published-bundle.ts";
import type { ClusterConfig } from "../config.ts";
import { apiServerUnavailable, NixClosureError, shuttingDown } from "../errors.ts";
import type { KeyPair } from "../webhook/tls/key-pair.ts";
import type { CertificateSource } from "./certificate-files.ts";

/** What the webhook has of the cluster that it works for. */
export interface Cluster {
  readonly guard: Pick<Guard, "refusal">;
  /** A certificate of our own; it waits until the API server answers, or `signal` says that nobody wants it any more. */
  openCertificate(onCertificate: (pair: KeyPair) => void): Promise<CertificateSource>;
  /** Watches whether what somebody else publishes verifies what is served. */
  watchBundle(served: () => KeyPair): { check(): void; close(): void };
  close(): void;
}

export interface ClusterOptions {
  readonly config: ClusterConfig;
  readonly health: Health;
  readonly metrics: Metrics["cluster"];
  readonly log: Logger;
  /** Aborted: the process is asked to end before it has started. */
  readonly signal?: AbortSignal | undefined;
}

/** The conditions of readiness that it sets. */
export const clusterConditions = ["kubernetes", "caBundle"] as const;

/** @throws apiServerUnavailable where it is not said where the API server is. */
export async function joinCluster(options: ClusterOptions): Promise<Cluster> {
  const { config, health, metrics, log, signal } = options;
  const api: ApiServer = await connectToCluster(config);
  let published: true | string = "not yet known";
  const onPublished = (state: true | string): void => {
    published = state;
    health.set("caBundle", state);
    metrics.bundleTrusted(state === true);
  };
  const guard = guardImageVolumes({
    api,
    log,
    onState(state) {
      // Still ready: only a ready replica can tell people why their Pods are refused.
      health.set("kubernetes", true, state === true ? undefined : state);
      metrics.imageVolumes(state === true);
    },
    onUnknown: (error) => health.set("kubernetes", messageOf(error)),
  });
  return {
    guard,
    close() {
      guard.close();
      api.close();
    },
    async openCertificate(onCertificate) {
      const { caValidityMs, certificateValidityMs } = config;
      let initial: KeyPair | undefined;
      const certificates = keepCertificates({
        api,
        names: config,
        caValidityMs,
        certificateValidityMs,
        log,
        onCertificate(pair) {
          if (initial === undefined) initial = pair;
          else onCertificate(pair);
        },
        observer: {
          published: onPublished,
          authority: (notAfter) => metrics.authority(notAfter),
          failed(error) {
            metrics.apiServerFailed();
            // What was good once stays good while the API server is away: it asks for nothing meanwhile.
            const isAway = error instanceof NixClosureError && error.code === apiServerUnavailable.code;
            if (published !== true || !isAway) onPublished(messageOf(error));
          },
          bundleWritten: () => metrics.bundleWritten(),
        },
      });
      const ended = Promise.withResolvers<never>();
      const onAbort = (): void => ended.reject(shuttingDown());
      signal?.addEventListener("abort", onAbort);
      if (signal?.aborted === true) onAbort();
      try {
        return {
          initial: await Promise.race([certificates.first, ended.promise]),
          close: () => certificates.close(),
        };
      } catch (error) {
        certificates.close();
        throw error;
      } finally {
        signal?.removeEventListener("abort", onAbort);
      }
    },
    watchBundle: (served) => watchPublishedBundle({ api, names: config, served, onState: onPublished, log }),
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
