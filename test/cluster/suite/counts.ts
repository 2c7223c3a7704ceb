import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { table } from "../../../demo/output.ts";
import { projectRoot } from "../kind/cache.ts";
import { type Verdict, verdicts } from "./answers.ts";
import type { Latencies, LoadCounts } from "./tally.ts";

/** What a fault has done to the Pods that were created meanwhile. */
export interface FaultRow extends Pick<LoadCounts, "annotated" | "plain" | "verdicts" | "messages"> {
  readonly fault: string;
  /** Milliseconds. */
  readonly recoveryMs: number;
  readonly durationMs: number;
  readonly latencies: { readonly annotated: Latencies; readonly plain: Latencies };
}

/** Something else that was measured. */
export interface Figure {
  readonly what: string;
  /** With its unit. */
  readonly value: string;
}

/** All that the suite has counted. */
export interface SuiteCounts {
  readonly faults: readonly FaultRow[];
  readonly figures: readonly Figure[];
}

/** Test files run one after the other, each in a process of its own: they share a file. */
const file = fileURLToPath(new URL("node_modules/.cache/cluster-counts.json", projectRoot));

/** Forgets what an earlier run has counted. */
export async function clearCounts(): Promise<void> {
  await rm(file, { force: true });
}

/** What has been counted so far. */
export async function readCounts(): Promise<SuiteCounts> {
  const text = await readFile(file, "utf8").catch(() => undefined);
  return text === undefined ? { faults: [], figures: [] } : (JSON.parse(text) as SuiteCounts);
}

/** Adds what a stream of Pods has met during a fault. */
export async function recordFault(fault: string, counts: LoadCounts, recoveryMs: number): Promise<void> {
  const { annotated, plain, verdicts, messages, durationMs, latencies } = counts;
  const row = { fault, recoveryMs, durationMs, annotated, plain, verdicts, messages, latencies };
  const { faults, figures } = await readCounts();
  await write({
    faults: [...faults.filter((other) => other.fault !== fault), row],
    figures,
  });
}

/** Adds something that was measured. */
export async function recordFigure(what: string, value: string): Promise<void> {
  const { faults, figures } = await readCounts();
  await write({ faults, figures: [...figures.filter((row) => row.what !== what), { what, value }] });
}

async function write(counts: SuiteCounts): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(counts, undefined, 2)}\n`);
}

const headings: Readonly<Record<Verdict, string>> = {
  injected: "injected",
  refusedByUs: "refused by us",
  webhookUnreachable: "webhook unreachable",
  refusedOtherwise: "refused otherwise",
  notInjected: "NOT INJECTED",
  plainCreated: "plain created",
  plainRefused: "PLAIN REFUSED",
  unavailable: "no API server",
};

/** The counts as lines for people: a row for each fault, then what else was measured. */
export function formatCounts({ faults, figures }: SuiteCounts): readonly string[] {
  const columns = ["fault", ...verdicts.map((verdict) => headings[verdict])];
  columns.push("recovered after", "annotated p50/p99/max ms", "plain p50/p99/max ms");
  const rows = faults.map((row) => [
    row.fault,
    ...verdicts.map((verdict) => `${row.verdicts[verdict]}`),
    `${(row.recoveryMs / 1000).toFixed(1)} s`,
    times(row.latencies.annotated),
    times(row.latencies.plain),
  ]);
  return [
    ...(rows.length === 0 ? [] : table([columns, ...rows], columns.map((_, index) => index).slice(1))),
    ...table(
      figures.map(({ what, value }) => [what, value]),
      [],
    ),
  ];
}

/** JSON has no NaN: times of no answer at all are null after they were stored. */
function times({ p50, p99, max }: Readonly<Record<keyof Latencies, number | null>>): string {
  return [p50, p99, max].map((value) => (value === null || Number.isNaN(value) ? "-" : value)).join("/");
}
