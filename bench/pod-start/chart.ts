import { chartStyle, escapeXml } from "../chart.ts";
import { orderedRows, type PodStartReport, type ReportRow, type Times } from "./report.ts";
import type { NodeState } from "./rows.ts";

const width = 860;
const margin = 16;
const labelWidth = 210;
const valueWidth = 150;
const barLeft = margin + labelWidth;
const barWidth = width - barLeft - valueWidth - margin;
const rowHeight = 18;
const headingHeight = 30;
const barHeight = 8;
/** Starts that take longer are drawn cut off, so that the others can be told apart. Milliseconds. */
const longest = 10_000;

/** The spread is a line across the bar; plain images are the measure of the others. */
const style = `${chartStyle}
  .plain { fill: #8c959f; }
  .ours { fill: #0969da; }
  .spread { stroke: #1f2328; stroke-width: 1; }
  @media (prefers-color-scheme: dark) {
    .plain { fill: #6e7681; }
    .ours { fill: #4493f8; }
    .spread { stroke: #f0f6fc; }
  }`;

/** A bar for each start, cold and warm, below its closure's name. The same report gives the same picture. */
export function renderStarts(report: PodStartReport): string {
  const parts: string[] = [];
  let y = margin + 12;
  const note = `Median and spread of Pod starts, seconds; cut off at ${longest / 1000}. Grey: a plain image of the same content.`;
  parts.push(`<text class="note" x="${margin}" y="${y}">${escapeXml(note)}</text>`);
  let workload = "";
  for (const row of orderedRows(report)) {
    if (row.workload !== workload) {
      ({ workload } = row);
      y += headingHeight;
      parts.push(`<text class="heading" x="${margin}" y="${y - 6}">${escapeXml(workload)}</text>`);
    }
    for (const state of ["cold", "warm"] as const) {
      const times = row[state];
      if (times === undefined) continue;
      parts.push(...renderBar(row, state, times, y));
      y += rowHeight;
    }
  }
  const height = y + margin;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>Starts of Pods</title>`,
    `<style>${style}\n</style>`,
    `<rect class="page" width="${width}" height="${height}"/>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

function renderBar(row: ReportRow, state: NodeState, times: Times, y: number): readonly string[] {
  const at = (milliseconds: number): number =>
    Math.round((barLeft + (Math.min(milliseconds, longest) / longest) * barWidth) * 10) / 10;
  const barY = y + 4;
  const middle = barY + barHeight / 2;
  const ratio =
    times.ratio === undefined || row.carrier === "plain" ? "" : `, ${times.ratio.toFixed(2)} times`;
  const value = `${(times.median / 1000).toFixed(2)}${ratio}`;
  return [
    `<text class="note" x="${margin}" y="${y + 12}">${escapeXml(labelOf(row, state))}</text>`,
    `<rect class="${row.carrier === "plain" ? "plain" : "ours"}" x="${barLeft}" y="${barY}" width="${Math.round((at(times.median) - barLeft) * 10) / 10}" height="${barHeight}" rx="2"/>`,
    `<line class="spread" x1="${at(times.min)}" x2="${at(times.max)}" y1="${middle}" y2="${middle}"/>`,
    `<text class="note" x="${width - margin}" y="${y + 12}" text-anchor="end">${escapeXml(value)}</text>`,
  ];
}

function labelOf({ name, workload }: ReportRow, state: NodeState): string {
  return `${name.slice(workload.length + 2)}, ${state}`;
}
