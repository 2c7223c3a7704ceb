import { formatBound, formatNumber, type Outcome, type Results } from "./results.ts";

const width = 860;
const margin = 16;
const barLeft = margin;
const barWidth = width - 2 * margin;
const rowHeight = 40;
const headingHeight = 34;
const barHeight = 8;
/** What is better than this many times its goal is drawn cut off, so that the others can be told apart. */
const longest = 3;

/** Light, and dark for who prefers it. */
export const chartStyle = `
  text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328; }
  .page { fill: #ffffff; }
  .heading { font-weight: 600; font-size: 14px; }
  .note { fill: #59636e; font-size: 12px; }
  .track { fill: #d1d9e0; }
  .reached { fill: #1a7f64; }
  .missed { fill: #bc4c00; }
  .goal { stroke: #1f2328; stroke-width: 1.5; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; }
    text { fill: #f0f6fc; }
    .note { fill: #9198a1; }
    .track { fill: #3d444d; }
    .reached { fill: #3fb68b; }
    .missed { fill: #f0883e; }
    .goal { stroke: #f0f6fc; }
  }`;

/** How far a goal is reached: 1 is just so, more is better, whatever its direction. */
export function attainment({ measured, atLeast, atMost }: Outcome): number {
  if (atLeast !== undefined) return measured / atLeast;
  return measured === 0 ? Infinity : (atMost ?? 0) / measured;
}

/** A bar for each goal, as long as its figure is good, with a line where the goal is. The same results give the same picture. */
export function renderChart({ figures }: Results): string {
  const parts: string[] = [];
  let y = margin + 12;
  parts.push(
    `<text class="note" x="${margin}" y="${y}">Measured against the goal (the line); a longer bar is better, cut off at ${longest} times.</text>`,
  );
  y += 6;
  for (const { name, goals } of figures) {
    y += headingHeight;
    parts.push(`<text class="heading" x="${margin}" y="${y - 8}">${escapeXml(name)}</text>`);
    for (const goal of goals) {
      parts.push(...renderGoal(goal, y));
      y += rowHeight;
    }
  }
  const height = y + margin;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>Figures against their goals</title>`,
    `<style>${chartStyle}\n</style>`,
    // Its own ground, so that it can be read wherever it is shown.
    `<rect class="page" width="${width}" height="${height}"/>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

/** A line of words, and the bar below it. */
function renderGoal(goal: Outcome, y: number): readonly string[] {
  const share = Math.min(attainment(goal), longest) / longest;
  const length = round(Math.max(share, 0) * barWidth);
  const goalX = round(barLeft + barWidth / longest);
  const barY = y + 20;
  const kind = goal.reached ? "reached" : "missed";
  const value = `${formatNumber(goal.measured)} (${formatBound(goal)}${goal.reached ? "" : ", missed"})`;
  return [
    `<text x="${margin}" y="${y + 13}">${escapeXml(goal.what)}</text>`,
    `<text x="${width - margin}" y="${y + 13}" text-anchor="end">${escapeXml(value)}</text>`,
    `<rect class="track" x="${barLeft}" y="${barY}" width="${barWidth}" height="${barHeight}" rx="2"/>`,
    `<rect class="${kind}" x="${barLeft}" y="${barY}" width="${length}" height="${barHeight}" rx="2"/>`,
    `<line class="goal" x1="${goalX}" x2="${goalX}" y1="${barY - 3}" y2="${barY + barHeight + 3}"/>`,
  ];
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Text as it is written in XML. */
export function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
