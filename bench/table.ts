import { formatBound, formatNumber, type Results } from "./results.ts";

/** The table of record: a row for each goal. */
export function markdownTable({ figures }: Results): string {
  const rows = figures.flatMap(({ name, goals }) =>
    goals.map((goal, index) => [
      index === 0 ? `\`${name}\`` : "",
      goal.what.replaceAll("|", "\\|"),
      formatNumber(goal.measured),
      formatBound(goal),
      goal.reached ? "yes" : "no",
    ]),
  );
  return formatTable([["Figure", "What", "Measured", "Goal", "Reached"], ...rows]);
}

/** A table in Markdown; the first row is its head. Its columns are as wide as Prettier has them. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const [head = [], ...others] = rows;
  const widths = head.map((_, column) => Math.max(3, ...rows.map((row) => (row[column] ?? "").length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const rule = widths.map((width) => "-".repeat(width));
  return [line(head), line(rule), ...others.map(line)].join("\n");
}

/** Where the machine is named, since seconds and bytes hold for one machine. */
export function machineLine({ machine }: Results): string {
  const memory = Math.round(machine.memoryBytes / 2 ** 30);
  return `${machine.cpu}, ${machine.cores} cores, ${memory} GiB, ${machine.platform}, Node ${machine.node}`;
}
