import type { FastifyInstance } from "fastify";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createHealth } from "../../src/admin/health.ts";
import { createMetrics, type Metrics } from "../../src/admin/metrics.ts";
import { createAdminServer } from "../../src/admin/server.ts";
import type { RegistryObserver } from "../../src/registry/observer.ts";
import type { ResolverObserver } from "../../src/resolver/observer.ts";

let metrics: Metrics;
let server: FastifyInstance;
let address: string;

beforeEach(async () => {
  metrics = createMetrics("1.2.3");
  server = createAdminServer({ health: createHealth(), metrics });
  address = await server.listen({ port: 0, host: "127.0.0.1" });
});
afterEach(() => server.close());

const page = async () => (await fetch(`${address}/metrics`)).text();

/** The samples of our own metrics, `name{labels}` to value. */
async function scrape(): Promise<ReadonlyMap<string, number>> {
  const lines = (await page()).split("\n").filter((line) => line.startsWith("nix_closure_"));
  return new Map(
    lines.map((line) => {
      const end = line.lastIndexOf(" ");
      return [line.slice("nix_closure_".length, end), Number(line.slice(end + 1))];
    }),
  );
}

/** What a call has changed: the difference of each sample; buckets left out. */
async function changes(drive: (metrics: Metrics) => void): Promise<Record<string, number>> {
  const before = await scrape();
  drive(metrics);
  const after = await scrape();
  const changed = [...after].filter(
    ([sample, value]) => !sample.includes("_bucket{") && value !== before.get(sample),
  );
  return Object.fromEntries(changed.map(([sample, value]) => [sample, value - (before.get(sample) ?? 0)]));
}

/** Each method with each thing that it can tell, and all that the page says then. */
const table: [string, (metrics: Metrics) => void, Record<string, number>][] = [
  ["a review that begins to wait", ({ webhook }) => webhook.waiting(1), { admissions_in_flight: 1 }],
  ["a review that waits no more", ({ webhook }) => webhook.waiting(-1), { admissions_in_flight: -1 }],
  [
    "an admission with volumes",
    ({ webhook }) => webhook.admission({ outcome: "injected", volumes: 14 }, 0.25),
    {
      'admissions_total{outcome="injected",reason="none"}': 1,
      'admission_duration_seconds_sum{outcome="injected"}': 0.25,
      'admission_duration_seconds_count{outcome="injected"}': 1,
      injected_volumes_sum: 14,
      injected_volumes_count: 1,
    },
  ],
  ...(["unchanged", "skipped", "denied", "error"] as const).map(
    (outcome): [string, (metrics: Metrics) => void, Record<string, number>] => [
      `an admission that is ${outcome}`,
      ({ webhook }) => webhook.admission({ outcome, reason: "PATH_UNKNOWN", volumes: 3 }, 0.5),
      {
        [`admissions_total{outcome="${outcome}",reason="PATH_UNKNOWN"}`]: 1,
        [`admission_duration_seconds_sum{outcome="${outcome}"}`]: 0.5,
        [`admission_duration_seconds_count{outcome="${outcome}"}`]: 1,
      },
    ],
  ),
  [
    "a reason that is no error code of ours",
    ({ webhook }) => webhook.admission({ outcome: "denied", reason: "pod-4711", volumes: 0 }, 0.5),
    {
      'admissions_total{outcome="denied",reason="other"}': 1,
      'admission_duration_seconds_sum{outcome="denied"}': 0.5,
      'admission_duration_seconds_count{outcome="denied"}': 1,
    },
  ],
  ...(["narinfo", "listing", "nar"] as const).flatMap((kind) =>
    (["hit", "missing", "error"] as const).map(
      (outcome): [string, (metrics: Metrics) => void, Record<string, number>] => [
        `a request for a ${kind} that ends in ${outcome}`,
        ({ resolver }) => resolver.cacheRequest({ kind, outcome, seconds: 0.125 }),
        {
          [`cache_requests_total{kind="${kind}",outcome="${outcome}"}`]: 1,
          [`cache_request_duration_seconds_sum{kind="${kind}"}`]: 0.125,
          [`cache_request_duration_seconds_count{kind="${kind}"}`]: 1,
        },
      ],
    ),
  ),
  [
    "a path that the resolver remembers",
    ({ resolver }) => resolver.memory({ outcome: "hit" }),
    { 'resolver_memory_lookups_total{outcome="hit"}': 1 },
  ],
  [
    "a path that it does not",
    ({ resolver }) => resolver.memory({ outcome: "miss" }),
    { 'resolver_memory_lookups_total{outcome="miss"}': 1 },
  ],
  [
    "a conversion",
    ({ images }) => images.conversion({ kind: "path", outcome: "made", seconds: 1.5, bytes: 2048 }),
    {
      'conversions_total{kind="path",outcome="made"}': 1,
      'conversion_duration_seconds_sum{kind="path"}': 1.5,
      'conversion_duration_seconds_count{kind="path"}': 1,
      'conversion_bytes_total{kind="path"}': 2048,
    },
  ],
  [
    "the size of the blob store",
    ({ images }) => images.blobStore({ bytes: 4096, blobs: 2 }),
    { blob_store_bytes: 4096, blob_store_blobs: 2 },
  ],
  [
    "an eviction",
    ({ images }) => images.eviction(1024),
    { blob_store_evictions_total: 1, blob_store_evicted_bytes_total: 1024 },
  ],
  ["requests that wait", ({ images }) => images.waiting(3), { image_requests_waiting: 3 }],
  [
    "images that are read ahead",
    ({ images }) => {
      images.readAhead("converted", 3);
      images.readAhead("dropped", 2);
    },
    {
      'read_ahead_images_total{outcome="converted"}': 3,
      'read_ahead_images_total{outcome="dropped"}': 2,
    },
  ],
  ...(
    [
      [200, "2xx"],
      [206, "2xx"],
      [304, "3xx"],
      [404, "4xx"],
      [429, "4xx"],
      [503, "5xx"],
      [0, "none"],
    ] as const
  ).map(([status, label]): [string, (metrics: Metrics) => void, Record<string, number>] => [
    `a registry request with status ${status}`,
    ({ registry }) => registry.request({ kind: "blob", status, bytes: 512, seconds: 0.5 }),
    {
      [`registry_requests_total{kind="blob",status="${label}"}`]: 1,
      'registry_request_duration_seconds_sum{kind="blob"}': 0.5,
      'registry_request_duration_seconds_count{kind="blob"}': 1,
      'registry_bytes_total{kind="blob"}': 512,
    },
  ]),
  [
    "a request that was held",
    ({ registry }) => registry.held(0.5),
    { registry_hold_seconds_sum: 0.5, registry_hold_seconds_count: 1 },
  ],
  [
    "a certificate",
    ({ reload }) => reload.certificate({ notAfter: new Date("2026-12-01T00:00:00Z") }),
    { certificate_not_after_timestamp_seconds: Date.UTC(2026, 11, 1) / 1000 },
  ],
  [
    "an authority",
    ({ cluster }) => cluster.authority(new Date("2026-12-01T00:00:00Z")),
    { ca_not_after_timestamp_seconds: Date.UTC(2026, 11, 1) / 1000 },
  ],
  ["a caBundle that is trusted", ({ cluster }) => cluster.bundleTrusted(true), { ca_bundle_trusted: 1 }],
  ["a caBundle that was written", ({ cluster }) => cluster.bundleWritten(), { ca_bundle_writes_total: 1 }],
  ["an API server that fails", ({ cluster }) => cluster.apiServerFailed(), { api_server_errors_total: 1 }],
  ["a supported Kubernetes", ({ cluster }) => cluster.imageVolumes(true), { image_volumes_supported: 1 }],
  ...(["accepted", "rejected", "unreadable"] as const).flatMap(
    (outcome): [string, (metrics: Metrics) => void, Record<string, number>][] => [
      [
        `a certificate that is ${outcome}`,
        ({ reload }) => reload.certificateReload(outcome),
        { [`certificate_reloads_total{outcome="${outcome}"}`]: 1 },
      ],
      [
        `a configuration that is ${outcome}`,
        ({ reload }) => reload.configReload(outcome),
        { [`config_reloads_total{outcome="${outcome}"}`]: 1 },
      ],
    ],
  ),
];

describe("on the page", () => {
  test.each(table)("%s is one change of exactly its metrics", async (_, drive, expected) => {
    expect(await changes(drive)).toEqual(expected);
  });

  test("no metric stands that nothing moves", async () => {
    const families = (text: string) =>
      [...text.matchAll(/^# TYPE nix_closure_(\S+) /gm)].map((match) => match[1] ?? "");
    const before = await scrape();
    for (const [, drive] of table) drive(metrics);
    metrics.webhook.waiting(1);
    const after = await scrape();
    const moved = [...after]
      .filter(([sample, value]) => value !== before.get(sample))
      .map(([sample]) => sample);
    const all = families(await page());
    expect(all.length).toBeGreaterThan(20);
    const unmoved = all.filter(
      (family) => !moved.some((sample) => new RegExp(`^${family}(_sum|_count|_bucket)?(\\{|$)`).test(sample)),
    );
    // The version is set once, when the metrics are made.
    expect(unmoved).toEqual(["build_info"]);
  });

  test("the version is a label", async () => {
    expect((await scrape()).get('build_info{version="1.2.3"}')).toBe(1);
  });

  test("no certificate is not one that expired in 1970", async () => {
    expect(
      [...(await scrape()).keys()].filter((sample) => sample.startsWith("certificate_not_after")),
    ).toEqual([]);
  });

  test("counters whose labels are known stand at zero before their first event", async () => {
    const samples = await scrape();
    expect(samples.get('admissions_total{outcome="injected",reason="none"}')).toBe(0);
    expect(samples.get('cache_requests_total{kind="narinfo",outcome="error"}')).toBe(0);
    expect(samples.get('certificate_reloads_total{outcome="rejected"}')).toBe(0);
    expect(samples.get('config_reloads_total{outcome="rejected"}')).toBe(0);
  });

  test("every metric has a sentence of help, and the process's own metrics are there", async () => {
    const text = await page();
    for (const [, help] of text.matchAll(/^# HELP nix_closure_\S+ (.*)$/gm))
      expect(help).toMatch(/^[A-Z].*\.$/);
    expect(text).toMatch(/^process_cpu_seconds_total \d/m);
    expect(text).toMatch(/^nodejs_eventloop_lag_seconds \d/m);
  });
});

describe("the buckets of an admission", () => {
  const bounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, Infinity];

  test("go from half a millisecond to ten seconds", async () => {
    metrics.webhook.admission({ outcome: "injected", volumes: 1 }, 0.0004);
    const matches = (await page()).matchAll(/^nix_closure_admission_duration_seconds_bucket\{le="([^"]+)"/gm);
    expect([...matches].map((match) => Number(match[1]?.replace("+Inf", "Infinity")))).toEqual(bounds);
  });

  test.each(bounds.slice(0, -1).map((bound, index) => [bound, index] as const))(
    "an admission of %s s falls into its own and all wider ones",
    async (bound, index) => {
      metrics.webhook.admission({ outcome: "skipped", volumes: 0 }, bound);
      const samples = [...(await scrape())].filter(([sample]) =>
        sample.startsWith("admission_duration_seconds_bucket"),
      );
      expect(samples.map(([, value]) => value)).toEqual(
        bounds.map((_, position) => (position >= index ? 1 : 0)),
      );
    },
  );
});

test("the rooms' own observers are what the metrics listen with", async () => {
  const resolver: ResolverObserver = metrics.resolver;
  const registry: RegistryObserver = metrics.registry;
  resolver.cacheRequest({ cache: "https://cache.test", kind: "nar", outcome: "missing", seconds: 1 });
  registry.request({ kind: "manifest", status: 499, bytes: 0, seconds: 1 });
  const samples = await scrape();
  // The cache's address is no label.
  expect(samples.get('cache_requests_total{kind="nar",outcome="missing"}')).toBe(1);
  expect(samples.get('registry_requests_total{kind="manifest",status="4xx"}')).toBe(1);
});

test("two processes' worth of metrics in one do not meet", async () => {
  const other = createMetrics("4.5.6");
  other.images.eviction(1);
  expect((await scrape()).get("blob_store_evictions_total")).toBe(0);
  expect(await other.scrape()).toContain("nix_closure_blob_store_evictions_total 1");
});
