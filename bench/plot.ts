/**
 * Makes docs/performance.svg and the tables of docs/performance.md from what `npm run bench` printed:
 * `node bench/plot.ts results.json...`. With several files, a figure comes from the last one that has it. The tables go
 * between the page's marks, and to standard output; starts of Pods have a picture of their own, docs/pod-start.svg.
 */
import { readFile, writeFile } from "node:fs/promises";
import { renderChart } from "./chart.ts";
import { renderStarts } from "./pod-start/chart.ts";
import type { PodStartReport } from "./pod-start/report.ts";
import { podStartTable } from "./pod-start/table.ts";
import type { Results } from "./results.ts";
import { clusterFigureNames, figureNames } from "./run.ts";
import { machineLine, markdownTable } from "./table.ts";

const docs = new URL("../docs/", import.meta.url);
/** Between which a table stands. */
interface Marks {
  readonly start: string;
  readonly end: string;
}
const goalMarks: Marks = { start: "<!-- table of record -->", end: "<!-- end of the table -->" };
const startMarks: Marks = { start: "<!-- starts of Pods -->", end: "<!-- end of the starts -->" };

/** The page with another table; as it is, if it has no place for one. */
export function withTable(page: string, table: string, marks = goalMarks): string {
  const start = page.indexOf(marks.start);
  const end = page.indexOf(marks.end);
  if (start < 0 || end < start) return page;
  return `${page.slice(0, start)}${marks.start}\n\n${table}\n\n${page.slice(end)}`;
}

/**
 * The figures of several runs on one machine, in the order of docs/performance.md.
 *
 * @throws Error if there is none, or they are of several machines
 */
export function mergeResults(runs: readonly Results[]): Results {
  const [first] = runs;
  if (first === undefined) throw new Error("there are no results");
  const { cpu, cores } = first.machine;
  if (runs.some(({ machine }) => machine.cpu !== cpu || machine.cores !== cores))
    throw new Error("the results are of several machines");
  const found = new Map(
    runs.flatMap(({ figures }) => figures.map((figure) => [figure.name, figure] as const)),
  );
  const figures = [...figureNames, ...clusterFigureNames].flatMap((name) => found.get(name) ?? []);
  return { ...first, quick: runs.some(({ quick }) => quick), figures };
}

async function main(files: readonly string[]): Promise<void> {
  if (files.length === 0) throw new Error("usage: node bench/plot.ts results.json...");
  const texts = await Promise.all(files.map((file) => readFile(file, "utf8")));
  const results = mergeResults(texts.map((text) => JSON.parse(text) as Results));
  await writeFile(new URL("performance.svg", docs), renderChart(results));
  const table = `${markdownTable(results)}\n\n${machineLine(results)}.`;
  console.log(table);
  const starts = results.figures.find(({ name }) => name === "pod-start");
  const report = starts?.measurements as PodStartReport | undefined;
  const startTable = report === undefined ? undefined : podStartTable(report);
  if (report !== undefined) await writeFile(new URL("pod-start.svg", docs), renderStarts(report));
  if (startTable !== undefined) console.log(`\n${startTable}`);
  const pageFile = new URL("performance.md", docs);
  const page = await readFile(pageFile, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (page === undefined) return;
  const changed = withTable(page, table);
  await writeFile(pageFile, startTable === undefined ? changed : withTable(changed, startTable, startMarks));
}

if (import.meta.main) await main(process.argv.slice(2));
