import { fileURLToPath } from "node:url";
import { run } from "../test/programs/command.ts";
import { installPackages } from "../test/programs/debian-packages.ts";
import type { Figure } from "./figure.ts";
import type { FleetSample } from "./fleet-client.ts";
import type { GrowthCase, GrowthSample } from "./growth-client.ts";
import { clientCore, pinned, serverCore } from "./server-process.ts";
import { syntheticFleet } from "./synthetic-fleet.ts";
import { startSyntheticCache } from "./synthetic-cache.ts";

/** The Debian packages that have what this figure runs. */
export const programs = { taskset: "util-linux" };

const mebibyte = 1024 * 1024;
/** What V8 gives itself where the chart's limit of 512 MiB is all there is: half of it, and new objects besides. MiB. */
const heapLimit = 259;

/** Sizes in two ways: as far as a volume for each path goes, and in one store image. */
function casesOf(quick: boolean): readonly GrowthCase[] {
  const sizes = quick
    ? [
        { strategy: "per-path", paths: [20, 60] } as const,
        { strategy: "bundle", paths: [20, 60, 200] } as const,
      ]
    : [
        { strategy: "per-path", paths: [50, 190] } as const,
        { strategy: "bundle", paths: [50, 500, 2000] } as const,
      ];
  return sizes.flatMap(({ strategy, paths }) =>
    paths.flatMap((count) =>
      (quick ? [1] : [1, 2, 3]).map((containers) => ({ paths: count, strategy, containers })),
    ),
  );
}

/** How admission grows: with a closure's paths and a Pod's containers, cold and warm, and with closures that are known. */
export async function measure({ quick }: { readonly quick: boolean }): Promise<Figure> {
  await installPackages(programs);
  const samples = await measureGrowth(casesOf(quick), quick ? [1, 3] : [5, 40]);
  console.error("growth: sizes measured");
  const fleet = await measureFleet(quick ? 100 : 10_000);
  const of = (strategy: string, paths: number): GrowthSample => {
    const found = samples.find(
      (each) => each.strategy === strategy && each.paths === paths && each.containers === 1,
    );
    if (found === undefined) throw new Error(`${strategy} ${paths} was not measured`);
    return found;
  };
  const counts = (strategy: string): readonly [number, number] => {
    const all = [...new Set(samples.filter((each) => each.strategy === strategy).map(({ paths }) => paths))];
    return [all.at(-2) ?? 0, all.at(-1) ?? 0];
  };
  /** How much more a path costs in the largest closure than in the one before. */
  const growth = (strategy: string, value: (sample: GrowthSample) => number): number => {
    const [less, more] = counts(strategy);
    return value(of(strategy, more)) / more / (value(of(strategy, less)) / less);
  };
  const [before, largest] = counts("bundle");
  const [fewVolumes, manyVolumes] = counts("per-path");
  const compared = `per path, ${largest} against ${before} paths`;
  const comparedVolumes = `per path, ${manyVolumes} against ${fewVolumes} volumes`;
  return {
    name: "growth",
    rounds: quick ? 1 : 5,
    goals: [
      { what: `warm admission of ${largest} paths, ms`, measured: of("bundle", largest).warmMs, atMost: 5 },
      { what: `cold admission ${compared}`, measured: growth("bundle", ({ coldMs }) => coldMs), atMost: 1.5 },
      { what: `warm admission ${compared}`, measured: growth("bundle", ({ warmMs }) => warmMs), atMost: 1.5 },
      {
        what: `warm admission ${comparedVolumes}`,
        measured: growth("per-path", ({ warmMs }) => warmMs),
        atMost: 1.5,
      },
      {
        what: `patch bytes ${comparedVolumes}`,
        measured: growth("per-path", ({ patchBytes }) => patchBytes),
        atMost: 1.5,
      },
      {
        what: `peak of memory, ${fleet.closures} closures, MiB`,
        measured: fleet.peakBytes / mebibyte,
        atMost: 512,
      },
      {
        what: `requests to the cache for ${fleet.closures} closures that are known`,
        measured: fleet.requests.again,
        atMost: 0,
      },
    ],
    measurements: {
      samples,
      fleet: { storePaths: syntheticFleet(fleet.closures).length, ...fleet },
      heapLimitMiB: heapLimit,
    },
  };
}

async function measureGrowth(
  cases: readonly GrowthCase[],
  times: readonly [cold: number, warm: number],
): Promise<readonly GrowthSample[]> {
  const sizes = [...new Set(cases.map(({ paths }) => paths))];
  await using cache = await startSyntheticCache({
    latencyMs: 0,
    paths: ["graph", ...sizes],
    core: serverCore,
  });
  const words = cases.map(({ paths, strategy, containers }) => `${paths}:${strategy}:${containers}`);
  return await runClient("growth-client.ts", [], [urlOf(cache), ...times.map(String), ...words]);
}

async function measureFleet(closures: number): Promise<FleetSample> {
  await using cache = await startSyntheticCache({
    latencyMs: 0,
    paths: ["fleet", closures],
    core: serverCore,
  });
  const flags = ["--expose-gc", `--max-heap-size=${heapLimit}`];
  return await runClient("fleet-client.ts", flags, [urlOf(cache), String(closures)]);
}

async function runClient<T>(name: string, flags: readonly string[], args: readonly string[]): Promise<T> {
  const file = fileURLToPath(new URL(name, import.meta.url));
  const [program, ...words] = pinned(clientCore, [process.execPath, ...flags, file, ...args]);
  return JSON.parse(await run(program, words)) as T;
}

function urlOf({ port }: { readonly port: number }): string {
  return `http://127.0.0.1:${port}`;
}
