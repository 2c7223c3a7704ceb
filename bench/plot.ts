/**
 * Makes docs/performance.svg and the table of docs/performance.md from what `npm run bench` printed:
 * `node bench/plot.ts results.json`. The table goes between the page's two marks, and to standard output.
 */
import { readFile, writeFile } from "node:fs/promises";
import { renderChart } from "./chart.ts";
import type { Results } from "./results.ts";
import { machineLine, markdownTable } from "./table.ts";

const docs = new URL("../docs/", import.meta.url);
const marks = { start: "<!-- table of record -->", end: "<!-- end of the table -->" };

/** The page with another table; as it is, if it has no place for one. */
export function withTable(page: string, table: string): string {
  const start = page.indexOf(marks.start);
  const end = page.indexOf(marks.end);
  if (start < 0 || end < start) return page;
  return `${page.slice(0, start)}${marks.start}\n\n${table}\n\n${page.slice(end)}`;
}

async function main(file: string | undefined): Promise<void> {
  if (file === undefined) throw new Error("usage: node bench/plot.ts results.json");
  const results = JSON.parse(await readFile(file, "utf8")) as Results;
  await writeFile(new URL("performance.svg", docs), renderChart(results));
  const table = `${markdownTable(results)}\n\n${machineLine(results)}.`;
  console.log(table);
  const pageFile = new URL("performance.md", docs);
  const page = await readFile(pageFile, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (page !== undefined) await writeFile(pageFile, withTable(page, table));
}

if (import.meta.main) await main(process.argv[2]);
