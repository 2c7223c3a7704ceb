import { median } from "../figure.ts";
import type { KubeletName } from "./bench-cluster.ts";
import { sources } from "./cache-servers.ts";
import { type NodeState, type Row, rowName } from "./rows.ts";
import type { BlockSamples, RowSamples, Sample } from "./rounds.ts";
import type { SecondAppSamples } from "./second-app.ts";
import type { Carrier } from "./workloads.ts";

/** Milliseconds over rounds. */
export interface Times {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly rounds: readonly number[];
  /** Median of the ratios to the plain image in the same round, where there is one. */
  readonly ratio?: number;
}

/** A row of the report. */
export interface ReportRow {
  readonly name: string;
  readonly workload: string;
  readonly carrier: Carrier;
  /** What the carrier turned out to be. */
  readonly strategy: string;
  readonly sameAs?: string;
  readonly kubelet: KubeletName;
  readonly paced: boolean;
  /** What the caches take for each answer. */
  readonly cacheMilliseconds: number;
  readonly images: number;
  readonly imageBytes: number;
  /** Of all rounds. */
  readonly failedEvents: number;
  /** Median of a cold start's bytes out of our registry. */
  readonly sentBytes?: number;
  readonly cold?: Times;
  readonly warm?: Times;
  /** Medians of when the API server knew of a cold start, which is up to a second later. */
  readonly seenMilliseconds: number;
}

/** The second app. */
export interface SecondAppReport {
  readonly carrier: string;
  readonly firstMilliseconds: number;
  readonly times: Times;
  readonly failedEvents: number;
  /** Medians. */
  readonly sentBytes: number;
  readonly missingBytes: number;
}

/** What the figure prints. */
export interface PodStartReport {
  readonly rows: readonly ReportRow[];
  readonly secondApp: readonly SecondAppReport[];
  readonly refused: readonly { readonly name: string; readonly reason: string }[];
  readonly estimates: readonly Estimate[];
}

/** What `nix-closure plan` expects of a cold start by the default strategy. */
export interface Estimate {
  readonly workload: string;
  readonly kubelet: KubeletName;
  readonly milliseconds: number;
}

/** Sums up what was measured. */
export function reportOf(
  blocks: readonly BlockSamples[],
  secondApp: readonly SecondAppSamples[],
  estimates: readonly Estimate[],
): PodStartReport {
  return {
    rows: blocks.flatMap(({ rows }) => rows.map((row) => rowOf(row, rows))),
    secondApp: secondApp.map((app) => secondOf(app, secondApp)),
    refused: blocks.flatMap(({ refused }) =>
      refused.map(({ row, reason }) => ({ name: rowName(row), reason })),
    ),
    estimates,
  };
}

function rowOf(row: RowSamples, all: readonly RowSamples[]): ReportRow {
  const { workload, carrier, node, source, pacing } = row.row;
  const base = all.find(({ row: other }) => isBaseOf(other, row.row));
  const cold = timesOf(row.samples, base?.samples, "cold");
  const warm = timesOf(row.samples, base?.samples, "warm");
  const coldSamples = row.samples.filter(({ state }) => state === "cold");
  return {
    name: rowName(row.row),
    workload: workload.name,
    carrier,
    strategy: row.strategy,
    ...(row.sameAs === undefined ? {} : { sameAs: row.sameAs }),
    kubelet: node,
    paced: pacing === "paced",
    cacheMilliseconds: sources[source].latencyMs,
    images: row.images,
    imageBytes: row.imageBytes,
    failedEvents: row.samples.reduce((sum, { failedEvents }) => sum + failedEvents, 0),
    ...(carrier === "plain" ? {} : { sentBytes: median(coldSamples.map(({ sentBytes }) => sentBytes)) }),
    ...(cold === undefined ? {} : { cold }),
    ...(warm === undefined ? {} : { warm }),
    seenMilliseconds: median(coldSamples.map(({ seenMilliseconds }) => seenMilliseconds)),
  };
}

/** The plain image of the same workload on the same node. It comes from no cache, so their speed is all one. */
function isBaseOf(base: Row, { workload, node }: Row): boolean {
  return base.carrier === "plain" && base.workload.name === workload.name && base.node === node;
}

function timesOf(
  samples: readonly Sample[],
  base: readonly Sample[] | undefined,
  state: NodeState,
): Times | undefined {
  const own = samples.filter((sample) => sample.state === state);
  if (own.length === 0) return undefined;
  const ratios = own.flatMap(({ round, milliseconds }) => {
    const same = base?.find((sample) => sample.round === round && sample.state === state);
    return same === undefined ? [] : [milliseconds / same.milliseconds];
  });
  return timesOver(
    own.map(({ milliseconds }) => milliseconds),
    ratios,
  );
}

function timesOver(rounds: readonly number[], ratios: readonly number[]): Times {
  return {
    median: median(rounds),
    min: Math.min(...rounds),
    max: Math.max(...rounds),
    rounds,
    ...(ratios.length === 0 ? {} : { ratio: median(ratios) }),
  };
}

function secondOf(app: SecondAppSamples, all: readonly SecondAppSamples[]): SecondAppReport {
  const plain = all.find(({ carrier }) => carrier === "plain")?.samples ?? [];
  const rounds = app.samples.map(({ milliseconds }) => milliseconds);
  const ratios = rounds.map(
    (milliseconds, index) => milliseconds / (plain[index]?.milliseconds ?? Number.NaN),
  );
  return {
    carrier: app.carrier,
    firstMilliseconds: app.firstMilliseconds,
    times: timesOver(rounds, ratios),
    failedEvents: app.samples.reduce((sum, { failedEvents }) => sum + failedEvents, 0),
    sentBytes: median(app.samples.map(({ sentBytes }) => sentBytes)),
    missingBytes: median(app.samples.map(({ missingBytes }) => missingBytes)),
  };
}

/** The rows with those of one workload together, in the order in which they were measured first. */
export function orderedRows({ rows }: Pick<PodStartReport, "rows">): readonly ReportRow[] {
  const names = [...new Set(rows.map(({ workload }) => workload))];
  return names.flatMap((name) => rows.filter(({ workload }) => workload === name));
}
