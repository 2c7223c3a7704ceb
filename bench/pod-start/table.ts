import { formatTable } from "../table.ts";
import { orderedRows, type PodStartReport, type Times } from "./report.ts";

const head = [
  "Closure",
  "Carried by",
  "Kubelet",
  "Caches",
  "Images",
  "MB",
  "Cold, s",
  "to plain",
  "Warm, s",
  "to plain",
  "Failed",
];

/** The rows of record in Markdown: medians, and in parentheses the spread and the number of rounds. */
export function podStartTable(report: PodStartReport): string {
  const rows = orderedRows(report).map((row, index, all) => [
    all[index - 1]?.workload === row.workload ? "" : row.workload,
    row.sameAs === undefined ? row.carrier : `${row.carrier} (as ${row.sameAs})`,
    row.kubelet === "stock" && !row.paced ? "stock, unpaced" : row.kubelet,
    row.carrier === "plain" ? "" : `${row.cacheMilliseconds} ms`,
    String(row.images),
    (row.imageBytes / 1e6).toFixed(0),
    formatTimes(row.cold),
    formatRatio(row.cold),
    formatTimes(row.warm),
    formatRatio(row.warm),
    String(row.failedEvents),
  ]);
  const second = report.secondApp.map((app, index) => [
    index === 0 ? "second app" : "",
    app.carrier,
    "stock",
    app.carrier === "plain" ? "" : "0 ms",
    "",
    (app.missingBytes / 1e6).toFixed(app.missingBytes < 1e6 ? 2 : 0),
    formatTimes(app.times),
    formatRatio(app.times),
    "",
    "",
    String(app.failedEvents),
  ]);
  return formatTable([head, ...rows, ...second]);
}

function formatTimes(times: Times | undefined): string {
  if (times === undefined) return "";
  const [middle, low, high] = [times.median, times.min, times.max].map((value) => (value / 1000).toFixed(2));
  return times.rounds.length === 1
    ? `${middle} (once)`
    : `${middle} (${low} to ${high}, ${times.rounds.length})`;
}

function formatRatio(times: Times | undefined): string {
  return times?.ratio === undefined ? "" : times.ratio.toFixed(2);
}
