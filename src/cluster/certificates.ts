import { X509Certificate } from "node:crypto";
import type { Logger } from "pino";
import { apiServerUnavailable } from "../errors.ts";
import { unrefTimers, type Timers } from "../reload.ts";
import { clockSkewMilliseconds } from "../webhook/tls/authority.ts";
import type { KeyPair } from "../webhook/tls/key-pair.ts";
import type { ApiServer, ClusterNames } from "./api-server.ts";
import { bundleOf, parseCertificates, type Authorities } from "./authorities.ts";
import { createAuthorityStore } from "./authority-store.ts";
import { bundlePatch, ownBundles, publishedState } from "./ca-bundle.ts";
import { createReconciler } from "./reconciler.ts";
import { isIssuedBy, issueFor, needsCertificate, settleMs } from "./server-certificate.ts";

export interface CertificatesOptions {
  readonly api: ApiServer;
  readonly names: ClusterNames;
  /** Milliseconds. */
  readonly caValidityMs: number;
  /** Milliseconds. */
  readonly certificateValidityMs: number;
  /** A new certificate, to be served from now on. */
  readonly onCertificate: (pair: KeyPair) => void;
  readonly observer: CertificatesObserver;
  readonly log: Logger;
  readonly timers?: Timers;
  readonly settleMs?: number;
}

export interface CertificatesObserver {
  /** Why API servers would not believe the served certificate; true: they do. */
  published(state: true | string): void;
  /** The end of the signing authority. */
  authority(notAfter: Date): void;
  /** The API server could not be reached or refused. */
  failed(error: unknown): void;
  /** A caBundle of ours was written. */
  bundleWritten(): void;
}

/** Changes that no watch told of are found in this time, and times that have come. Milliseconds. */
const intervalMs = 10_000;
/** Two, where entries moved between reading and writing; more, where somebody else writes too. */
const publishAttempts = 4;
/** So often in a minute is a fight with somebody, whom we leave the field for a while. */
const writesAMinute = 10;

/**
 * Keeps this replica's server certificate, the authorities of all replicas, and the caBundle of our webhook in order.
 *
 * All replicas do the same, without a leader: the authorities are in one Secret that only one can change at a time, and
 * what is to be published follows from it alone. Private keys of servers stay in memory.
 *
 * The order when the authority changes: Secret, caBundle with the old and the new one, some time for every API server to
 * see it, server certificates. The old authority leaves the caBundle at its own end.
 */
export function keepCertificates(options: CertificatesOptions): {
  /** Resolves with the first certificate; as long as the API server does not answer it is tried again. */
  readonly first: Promise<KeyPair>;
  close(): void;
} {
  const { api, names, observer, log } = options;
  const settle = options.settleMs ?? settleMs;
  const store = createAuthorityStore(api, { validityMs: options.caValidityMs, log });
  const first = Promise.withResolvers<KeyPair>();
  let served: KeyPair | undefined;
  /** Fingerprints of authorities with the time at which they were first seen in the published bundle. */
  let trusted: ReadonlyMap<string, number> = new Map();
  /** When caBundle was written lately, by performance.now(). */
  let writes: number[] = [];

  async function publish(authorities: Authorities): Promise<readonly string[] | undefined> {
    for (let attempt = 0; attempt < publishAttempts; attempt++) {
      const configuration = await api.readWebhooks();
      const bundles = ownBundles(configuration, names);
      if (configuration === undefined) return undefined;
      const patch = bundlePatch(configuration, names, bundleOf(authorities, api.now()));
      if (patch.length === 0) return bundles;
      writes = writes.filter((time) => time > performance.now() - 60_000);
      if (writes.length >= writesAMinute) {
        if (served !== undefined) observer.published(publishedState(bundles, names, served, api.now()));
        throw apiServerUnavailable(
          "keep our caBundle",
          "somebody changes it again and again (see its managedFields)",
        );
      }
      if (await api.patchWebhooks(patch)) {
        writes.push(performance.now());
        observer.bundleWritten();
        log.info({ webhookConfiguration: names.webhookConfiguration }, "published caBundle");
      }
    }
    throw apiServerUnavailable("keep our caBundle", "the patch is refused, or entries move all the time");
  }

  function remember(bundles: readonly string[], now: Date): void {
    const [one = "", ...others] = bundles;
    const inAll = parseCertificates(one).filter((certificate) =>
      others.every((bundle) => bundle.includes(certificate.toString())),
    );
    trusted = new Map(
      inAll.map(({ fingerprint256 }) => [fingerprint256, trusted.get(fingerprint256) ?? now.getTime()]),
    );
  }

  async function reconcile(): Promise<void> {
    const authorities = await store.load();
    observer.authority(authorities.current.notAfter);
    const bundles = await publish(authorities);
    const now = api.now();
    remember(bundles ?? [], now);
    if (served !== undefined) {
      const state = publishedState(bundles, names, served, now);
      observer.published(readiness(authorities, served, state, now));
      const { fingerprint256 } = new X509Certificate(authorities.current.certificatePem);
      const situation = {
        served,
        current: authorities.current,
        trustedSince: trusted.get(fingerprint256),
        verified: state === true,
        now,
      };
      if (!needsCertificate(situation, settle)) return;
    }
    const next = await issueFor(authorities.current, names, options.certificateValidityMs, now);
    options.onCertificate(next);
    served = next;
    log.info({ fingerprint: next.fingerprint, notAfter: next.notAfter }, "made a server certificate");
    first.resolve(next);
    observer.published(readiness(authorities, next, publishedState(bundles, names, next, now), now));
  }

  /** A replica that starts after a change of the authority serves the new one at once, so it waits with being ready. */
  function readiness(
    { current, previous }: Authorities,
    pair: KeyPair,
    state: true | string,
    now: Date,
  ): true | string {
    if (state !== true || previous.length === 0 || !isIssuedBy(pair, current)) return state;
    const age = now.getTime() - current.notBefore.getTime() - clockSkewMilliseconds;
    return age >= settle || "API servers may not have seen the new certificate authority yet";
  }

  const reconciler = createReconciler({
    work: reconcile,
    onError(error) {
      observer.failed(error);
      log.warn({ err: error }, "certificates could not be kept in order, trying again");
    },
    intervalMs,
    timers: options.timers ?? unrefTimers,
  });
  const watches = (["secret", "webhooks"] as const).map((what) =>
    api.watch(what, () => reconciler.trigger()),
  );
  void reconciler.run();
  return {
    first: first.promise,
    close() {
      for (const watch of watches) watch.close();
      reconciler.close();
    },
  };
}
