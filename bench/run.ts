/**
 * Measures figures one after the other: `npm run bench [-- --quick] [name...]`. What is under way goes to standard
 * error; standard output gets one JSON document. A goal that is missed is no failure: the document says so.
 */
import { parseArgs } from "node:util";
import { isReached, type Figure } from "./figure.ts";
import { formatBound, formatNumber, resultsOf } from "./results.ts";

/** In the order of docs/performance.md. */
export const figureNames = [
  "walk",
  "conversion",
  "admission",
  "registry",
  "growth",
  "packing",
  "push",
] as const;
/** Those that are measured only if they are asked for: they make a cluster, and take half an hour. */
export const clusterFigureNames = ["pod-start"] as const;
export type FigureName = (typeof figureNames | typeof clusterFigureNames)[number];
const allNames: readonly FigureName[] = [...figureNames, ...clusterFigureNames];

/** What the module of a figure exports. */
export interface FigureModule {
  /** Installs and builds what is missing, and measures. Quick: in some seconds, with figures of no meaning. */
  readonly measure: (options: { readonly quick: boolean }) => Promise<Figure>;
  /** Programs that it runs, with the Debian packages that have them. */
  readonly programs?: Readonly<Record<string, string>>;
  /** Whether the peers that it builds are built; there are none without it. */
  readonly isBuilt?: () => Promise<boolean>;
}

export async function loadFigure(name: FigureName): Promise<FigureModule> {
  return (await import(new URL(`${name}.ts`, import.meta.url).href)) as FigureModule;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { quick: { type: "boolean", default: false } },
    allowPositionals: true,
  });
  const unknown = positionals.filter((name) => !allNames.some((known) => known === name));
  if (unknown.length > 0)
    throw new Error(`no figure ${unknown.join(", ")}; there are ${allNames.join(", ")}`);
  const wanted =
    positionals.length === 0 ? figureNames : allNames.filter((name) => positionals.includes(name));
  const figures: Figure[] = [];
  for (const name of wanted) {
    console.error(`${name} ...`);
    const { measure } = await loadFigure(name);
    const figure = await measure({ quick: values.quick });
    for (const goal of figure.goals) {
      const outcome = isReached(goal) ? "reached" : "MISSED";
      console.error(
        `${name}: ${goal.what}: ${formatNumber(goal.measured)} (${formatBound(goal)}): ${outcome}`,
      );
    }
    figures.push(figure);
  }
  console.log(JSON.stringify(resultsOf(figures, values.quick), null, 2));
}

if (import.meta.main) await main();
