/** The benchmarks run, whatever their figures are: those of a quick run say nothing. */
import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { attainment, renderChart } from "../bench/chart.ts";
import { isReached, median } from "../bench/figure.ts";
import { withTable } from "../bench/plot.ts";
import { resultsOf, type Results } from "../bench/results.ts";
import { figureNames, loadFigure } from "../bench/run.ts";
import { markdownTable } from "../bench/table.ts";
import { succeeds } from "./programs/command.ts";

/** What a figure needs and the machine does not have; to make it takes longer than a test may. */
async function missingOf(name: (typeof figureNames)[number]): Promise<readonly string[]> {
  const { programs = {}, isBuilt } = await loadFigure(name);
  const missing: string[] = [];
  for (const program of ["taskset", ...Object.keys(programs)]) {
    if (!(await succeeds("sh", ["-c", `command -v ${program}`]))) missing.push(program);
  }
  if (isBuilt === undefined) return missing;
  if (!(await succeeds("go", ["version"]))) return [...missing, "go"];
  return (await isBuilt()) ? missing : [...missing, "its peer, which npm run bench builds"];
}

describe("a quick run", () => {
  for (const name of figureNames) {
    if (!existsSync(new URL(`../bench/${name}.ts`, import.meta.url))) continue;
    test(`of ${name}`, async ({ skip }) => {
      const missing = await missingOf(name);
      skip(missing.length > 0, `needs ${missing.join(", ")}`);
      const figure = await (await loadFigure(name)).measure({ quick: true });
      const results = JSON.parse(JSON.stringify(resultsOf([figure], true))) as Results;
      expect(results).toMatchObject({ quick: true, machine: { node: process.version } });
      const [read] = results.figures;
      expect(read).toMatchObject({ name, rounds: expect.any(Number), measurements: expect.any(Object) });
      expect(read!.goals.length).toBeGreaterThan(0);
      for (const goal of read!.goals) {
        expect(goal.what).not.toBe("");
        expect(goal.atLeast ?? goal.atMost).toEqual(expect.any(Number));
        if (goal.atLeast === undefined) expect(goal.measured).toBeGreaterThanOrEqual(0);
        else expect(goal.measured).toBeGreaterThan(0);
        expect(goal.reached).toBe(isReached(goal));
      }
    });
  }
});

describe("what is made of results", () => {
  const results = resultsOf(
    [
      {
        name: "walk",
        rounds: 3,
        goals: [
          { what: "ratio to a | b", measured: 0.5, atLeast: 0.25 },
          { what: "seconds < 2", measured: 4.1234, atMost: 2 },
        ],
        measurements: {},
      },
    ],
    false,
  );

  test("a table, as Prettier has it", () => {
    expect(markdownTable(results)).toBe(
      [
        "| Figure | What            | Measured | Goal          | Reached |",
        "| ------ | --------------- | -------- | ------------- | ------- |",
        "| `walk` | ratio to a \\| b | 0.5      | at least 0.25 | yes     |",
        "|        | seconds < 2     | 4.12     | at most 2     | no      |",
      ].join("\n"),
    );
  });

  test("a page with the table in its place, and nothing else changed", () => {
    const page = "before\n\n<!-- table of record -->\n\nold\n\n<!-- end of the table -->\nafter\n";
    expect(withTable(page, "new")).toBe(page.replace("old", "new"));
    expect(withTable("no place\n", "new")).toBe("no place\n");
  });

  test("a picture, the same for the same results", () => {
    const chart = renderChart(results);
    expect(chart).toBe(renderChart(results));
    expect(chart).toContain("seconds &lt; 2");
    // Twice the goal of three times at most; half of it.
    const bars = [...chart.matchAll(/class="(reached|missed)" x="16" y="\d+" width="([\d.]+)"/g)];
    expect(bars.map(([, kind, width]) => [kind, Number(width)])).toEqual([
      ["reached", 552],
      ["missed", 133.9],
    ]);
  });

  test("a goal that is met by nothing at all is met beyond measure", () => {
    expect(attainment({ what: "requests", measured: 0, atMost: 0, reached: true })).toBe(Infinity);
  });

  test("the median of an even number of rounds lies between the two in the middle", () => {
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([3, 1, 2])).toBe(2);
  });
});
