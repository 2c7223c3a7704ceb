import { formatBound, formatNumber, type Results } from "./results.ts";

/** The table of record: a row for each goal. Its columns are as wide as Prettier has them. */
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
  const head = ["Figure", "What", "Measured", "Goal", "Reached"];
  const widths = head.map((title, column) =>
    Math.max(title.length, 3, ...rows.map((row) => (row[column] ?? "").length)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const rule = widths.map((width) => "-".repeat(width));
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}

/** Where the machine is named, since seconds and bytes hold for one machine. */
export function machineLine({ machine }: Results): string {
  const memory = Math.round(machine.memoryBytes / 2 ** 30);
  return `${machine.cpu}, ${machine.cores} cores, ${memory} GiB, ${machine.platform}, Node ${machine.node}`;
}
