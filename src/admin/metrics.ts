import { collectDefaultMetrics, Registry } from "@prometheus-io/client";
import { errorKinds } from "../errors.ts";
import { defineMetrics, type MetricSet } from "./metric-definitions.ts";

/** How an admission ended: `skipped` had no work for us, `unchanged` was injected already. */
export type AdmissionOutcome = "injected" | "unchanged" | "skipped" | "denied" | "error";

export interface AdmissionEvent {
  readonly outcome: AdmissionOutcome;
  /** Code of the error that it ended with, from errors.ts; none, or `none`, without an error. */
  readonly reason?: string | undefined;
  /** Image volumes that were added; counted for `injected` only. */
  readonly volumes: number;
}

/** What the webhook tells. */
export interface AdmissionMetrics {
  /** One more review, or one less, waits for what it needs. */
  waiting(change: 1 | -1): void;
  /** A review has been answered. */
  admission(event: AdmissionEvent, seconds: number): void;
}

/** What the resolver tells: its ResolverObserver. */
export interface ResolverMetrics {
  cacheRequest(event: {
    readonly kind: "info" | "narinfo" | "listing" | "nar" | "index" | "manifest" | "document";
    readonly outcome: "hit" | "missing" | "error";
    readonly seconds: number;
  }): void;
  memory(event: LookupEvent): void;
}

export interface LookupEvent {
  readonly outcome: "hit" | "miss";
}

/** What images and their blob store tell: their ImagesObserver. Kinds and outcomes are few and fixed. */
export interface ImagesMetrics {
  conversion(event: {
    readonly kind: string;
    readonly outcome: string;
    readonly seconds: number;
    readonly bytes: number;
  }): void;
  /** The store's whole size now. */
  blobStore(size: { readonly bytes: number; readonly blobs: number }): void;
  eviction(bytes: number): void;
  /** Requests for tags that wait now. */
  waiting(requests: number): void;
  /** Images of plans that nobody had asked for yet. */
  readAhead(outcome: string, images: number): void;
}

/** What the registry tells: its RegistryObserver. */
export interface RegistryMetrics {
  request(event: {
    readonly kind: string;
    /** HTTP status. */
    readonly status: number;
    /** Bytes of the body that were sent. */
    readonly bytes: number;
    readonly seconds: number;
  }): void;
  /** A request for a tag had its turn after so many seconds. */
  held(seconds: number): void;
}

/** `unreadable`: the files could not be read; what was in force stays. */
export type ReloadOutcome = "accepted" | "rejected" | "unreadable";

/** What the server tells about its own files. */
export interface ReloadMetrics {
  /** A serving certificate is in force. */
  certificate(validity: { readonly notAfter: Date }): void;
  certificateReload(outcome: ReloadOutcome): void;
  configReload(outcome: ReloadOutcome): void;
}

/** What the webhook tells of its cluster. */
export interface ClusterMetrics {
  /** The end of the authority that signs our certificates. */
  authority(notAfter: Date): void;
  /** Whether the published caBundle verifies the served certificate. */
  bundleTrusted(trusted: boolean): void;
  bundleWritten(): void;
  /** The API server could not be reached, or refused. */
  apiServerFailed(): void;
  /** Whether the API server keeps image volumes. */
  imageVolumes(supported: boolean): void;
}

/** The metrics of a process: one typed listener for each room that has something to tell, and the page for scrapers. */
export interface Metrics {
  readonly webhook: AdmissionMetrics;
  readonly resolver: ResolverMetrics;
  readonly images: ImagesMetrics;
  readonly registry: RegistryMetrics;
  readonly reload: ReloadMetrics;
  readonly cluster: ClusterMetrics;
  /** Content-Type of the page. */
  readonly contentType: string;
  /** All metrics in the text format of Prometheus. */
  scrape(): Promise<string>;
}

/** Makes the metrics of a process in a registry of their own, with those of Node.js and the process. */
export function createMetrics(version: string): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const set = defineMetrics(registry);
  set.buildInfo.set({ version }, 1);
  // Without a value the gauge is absent: 0 would be a certificate that expired in 1970, and an alert.
  for (const gauge of [set.certificateNotAfter, set.authorityNotAfter, set.bundleTrusted, set.imageVolumes])
    gauge.remove();
  startAtZero(set);
  const admissions = batched(([event, seconds]: readonly [AdmissionEvent, number]) =>
    countAdmission(set, event, seconds),
  );
  const lookups = batched(({ outcome }: LookupEvent) => set.resolverLookups.inc({ outcome }));

  return {
    webhook: {
      waiting: (change) => set.admissionsInFlight.inc(change),
      admission: (event, seconds) => admissions.add([event, seconds]),
    },
    resolver: {
      cacheRequest({ kind, outcome, seconds }) {
        set.cacheRequests.inc({ kind, outcome });
        set.cacheRequestDuration.observe({ kind }, seconds);
      },
      memory: lookups.add,
    },
    images: {
      conversion({ kind, outcome, seconds, bytes }) {
        set.conversions.inc({ kind, outcome });
        set.conversionDuration.observe({ kind }, seconds);
        set.conversionBytes.inc({ kind }, bytes);
      },
      blobStore({ bytes, blobs }) {
        set.blobStoreBytes.set(bytes);
        set.blobStoreBlobs.set(blobs);
      },
      eviction(bytes) {
        set.evictions.inc();
        set.evictedBytes.inc(bytes);
      },
      waiting: (requests) => set.imageRequestsWaiting.set(requests),
      readAhead: (outcome, images) => set.readAheadImages.inc({ outcome }, images),
    },
    registry: {
      request({ kind, status, bytes, seconds }) {
        set.registryRequests.inc({ kind, status: statusClass(status) });
        set.registryRequestDuration.observe({ kind }, seconds);
        set.registryBytes.inc({ kind }, bytes);
      },
      held: (seconds) => set.registryHold.observe(seconds),
    },
    reload: {
      certificate: ({ notAfter }) => set.certificateNotAfter.set(notAfter.getTime() / 1000),
      certificateReload: (outcome) => set.certificateReloads.inc({ outcome }),
      configReload: (outcome) => set.configReloads.inc({ outcome }),
    },
    cluster: {
      authority: (notAfter) => set.authorityNotAfter.set(notAfter.getTime() / 1000),
      bundleTrusted: (trusted) => set.bundleTrusted.set(trusted ? 1 : 0),
      bundleWritten: () => set.bundleWrites.inc(),
      apiServerFailed: () => set.apiServerErrors.inc(),
      imageVolumes: (supported) => set.imageVolumes.set(supported ? 1 : 0),
    },
    contentType: registry.contentType,
    scrape() {
      admissions.flush();
      lookups.flush();
      return registry.metrics();
    },
  };
}

function countAdmission(set: MetricSet, { outcome, reason, volumes }: AdmissionEvent, seconds: number): void {
  set.admissions.inc({ outcome, reason: boundedReason(reason) });
  set.admissionDuration.observe({ outcome }, seconds);
  if (outcome === "injected") set.injectedVolumes.observe(volumes);
}

/** So many events are counted together at most. */
const batchSize = 200;

/** Counts events together, and before each scrape: alone, one takes as long as a tenth of a review. */
function batched<T>(count: (event: T) => void): { add(this: void, event: T): void; flush(this: void): void } {
  let events: T[] = [];
  const flush = (): void => {
    const counted = events;
    events = [];
    counted.forEach(count);
  };
  return {
    flush,
    add(event) {
      if (events.push(event) >= batchSize) flush();
    },
  };
}

/** Series that a rate is asked for exist before their first event: a counter that appears with 1 has no increase. */
function startAtZero(set: MetricSet): void {
  for (const outcome of ["injected", "unchanged", "skipped"] as const)
    set.admissions.inc({ outcome, reason: "none" }, 0);
  set.admissions.inc({ outcome: "error", reason: "INTERNAL" }, 0);
  for (const kind of ["info", "narinfo", "listing", "nar", "index", "manifest", "document"] as const) {
    for (const outcome of ["hit", "missing", "error"] as const) set.cacheRequests.inc({ kind, outcome }, 0);
  }
  for (const outcome of ["converted", "known", "failed", "dropped"] as const)
    set.readAheadImages.inc({ outcome }, 0);
  for (const outcome of ["hit", "miss"] as const) set.resolverLookups.inc({ outcome }, 0);
  for (const outcome of ["accepted", "rejected", "unreadable"] as const) {
    set.certificateReloads.inc({ outcome }, 0);
    set.configReloads.inc({ outcome }, 0);
  }
}

/** A code of errors.ts, or `none`; anything else would let the number of series grow without end. */
function boundedReason(reason: string | undefined): string {
  if (reason === undefined || reason === "none") return "none";
  return errorKinds.has(reason) ? reason : "other";
}

/** `2xx` for 200 to 299; `none` for a request that ended without a status. */
function statusClass(status: number): string {
  return status >= 100 && status <= 599 ? `${Math.floor(status / 100)}xx` : "none";
}
