import { Counter, Gauge, Histogram, type Registry } from "@prometheus-io/client";

/** From a warm admission (under a millisecond) to the longest timeout that an API server has for a webhook (30 s). */
const admissionBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** From a file on the same disk to a cache's time limit. */
const requestBuckets = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** From a script of a few bytes to a compiler; a pull that waits for longer than 5 minutes is given up. */
const conversionBuckets = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
/** Up to the limit of volumes a Pod (plan). */
const volumeBuckets = [1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 200];

/** Every metric of nix-closure: made here and nowhere else, so that a name is a member and not a string. */
export type MetricSet = ReturnType<typeof defineMetrics>;

/** Makes all metrics in this registry. Names follow prometheus.io/docs/practices/naming: base units, `_total`. */
export function defineMetrics(registry: Registry) {
  const describe = <Labels extends string>(name: string, help: string, labelNames: readonly Labels[]) => ({
    name: `nix_closure_${name}`,
    help,
    labelNames,
    registers: [registry],
  });
  const counter = <Labels extends string = never>(
    name: string,
    help: string,
    labels: readonly Labels[] = [],
  ) => new Counter(describe(name, help, labels));
  const gauge = <Labels extends string = never>(name: string, help: string, labels: readonly Labels[] = []) =>
    new Gauge(describe(name, help, labels));
  const histogram = <Labels extends string = never>(
    name: string,
    help: string,
    buckets: readonly number[],
    labels: readonly Labels[] = [],
  ) => new Histogram({ ...describe(name, help, labels), buckets: [...buckets] });

  return {
    buildInfo: gauge("build_info", "Always 1; the version is a label.", ["version"]),

    admissions: counter(
      "admissions_total",
      "Admission reviews by outcome, and by error code where there is one.",
      ["outcome", "reason"],
    ),
    admissionDuration: histogram(
      "admission_duration_seconds",
      "Time from an admission review to its answer.",
      admissionBuckets,
      ["outcome"],
    ),
    admissionsInFlight: gauge("admissions_in_flight", "Admission reviews that wait for their answer."),
    injectedVolumes: histogram("injected_volumes", "Image volumes that a Pod was given.", volumeBuckets),

    cacheRequests: counter(
      "cache_requests_total",
      "Requests to binary caches, and to registries with pushed closures, by what was asked and what came of it.",
      ["kind", "outcome"],
    ),
    cacheRequestDuration: histogram(
      "cache_request_duration_seconds",
      "Time until a binary cache or a registry with pushed closures has answered.",
      requestBuckets,
      ["kind"],
    ),
    resolverLookups: counter(
      "resolver_memory_lookups_total",
      "Look-ups of store paths in the resolver's memory; a miss asks a binary cache or registry.",
      ["outcome"],
    ),

    conversions: counter("conversions_total", "Images made from store paths.", ["kind", "outcome"]),
    conversionDuration: histogram(
      "conversion_duration_seconds",
      "Time to make an image, with the download of its NARs.",
      conversionBuckets,
      ["kind"],
    ),
    conversionBytes: counter("conversion_bytes_total", "Bytes of the layers that were made.", ["kind"]),
    blobStoreBytes: gauge("blob_store_bytes", "Bytes of the blobs in the store, without layers being made."),
    blobStoreBlobs: gauge("blob_store_blobs", "Blobs in the blob store."),
    evictions: counter("blob_store_evictions_total", "Blobs that were removed to make room."),
    evictedBytes: counter(
      "blob_store_evicted_bytes_total",
      "Bytes of the blobs that were removed to make room.",
    ),

    readAheadImages: counter(
      "read_ahead_images_total",
      "Images of a plan that nobody had asked for yet: made ahead, there already, failed, or dropped since nobody asked for the plan any more.",
      ["outcome"],
    ),
    imageRequestsWaiting: gauge(
      "image_requests_waiting",
      "Requests for a tag that wait for their image; beyond 1000 they are refused.",
    ),
    registryRequests: counter(
      "registry_requests_total",
      "Requests to the registry by what was asked and status class.",
      ["kind", "status"],
    ),
    registryRequestDuration: histogram(
      "registry_request_duration_seconds",
      "Time until the registry has sent its answer, with the wait for a pull token and for a conversion.",
      conversionBuckets,
      ["kind"],
    ),
    registryHold: histogram(
      "registry_hold_seconds",
      "Time that requests for a tag were held so that the kubelet stays below its own limit of pulls.",
      conversionBuckets,
      [],
    ),
    registryBytes: counter("registry_bytes_total", "Bytes that the registry sent in bodies.", ["kind"]),

    certificateNotAfter: gauge(
      "certificate_not_after_timestamp_seconds",
      "End of validity of the serving certificate in Unix time; absent without one.",
    ),
    certificateReloads: counter(
      "certificate_reloads_total",
      "New certificates that were found, by what came of them.",
      ["outcome"],
    ),
    authorityNotAfter: gauge(
      "ca_not_after_timestamp_seconds",
      "End of validity of the certificate authority that signs the serving certificates, in Unix time; absent without one.",
    ),
    bundleTrusted: gauge(
      "ca_bundle_trusted",
      "Whether the published caBundle verifies the serving certificate; absent outside of a cluster.",
    ),
    bundleWrites: counter(
      "ca_bundle_writes_total",
      "Writes of caBundle, each after somebody changed it or a new authority.",
    ),
    apiServerErrors: counter(
      "api_server_errors_total",
      "Failed attempts to keep authority, caBundle and certificate in order at the API server.",
    ),
    imageVolumes: gauge(
      "image_volumes_supported",
      "Whether the API server keeps image volumes; with 0 all annotated Pods are refused. Absent outside of a cluster.",
    ),
    configReloads: counter(
      "config_reloads_total",
      "New configurations that were found, by what came of them.",
      ["outcome"],
    ),
  };
}
