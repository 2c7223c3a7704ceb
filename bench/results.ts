import { cpus, totalmem } from "node:os";
import { isReached, type Figure, type Goal } from "./figure.ts";

/** What figures say of themselves: a goal with its outcome. */
export interface Outcome extends Goal {
  readonly reached: boolean;
}

/** What a run prints. */
export interface Results {
  /** Figures in seconds and bytes are of no use without it. */
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly memoryBytes: number;
    readonly node: string;
    readonly platform: string;
  };
  readonly quick: boolean;
  readonly figures: readonly (Omit<Figure, "goals"> & { readonly goals: readonly Outcome[] })[];
}

/** The results of figures that were measured on this machine. */
export function resultsOf(figures: readonly Figure[], quick: boolean): Results {
  return {
    machine: {
      cpu: cpus()[0]?.model ?? "unknown",
      cores: cpus().length,
      memoryBytes: totalmem(),
      node: process.version,
      platform: `${process.platform}-${process.arch}`,
    },
    quick,
    figures: figures.map((figure) => ({
      ...figure,
      goals: figure.goals.map((goal) => ({ ...goal, reached: isReached(goal) })),
    })),
  };
}

/** A number for people: three significant digits, without an exponent. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 1000 || Number.isInteger(value)) return String(Math.round(value));
  return String(Number(value.toPrecision(3)));
}

/** The bound of a goal in words. */
export function formatBound({ atLeast, atMost }: Goal): string {
  return atLeast === undefined ? `at most ${formatNumber(atMost ?? 0)}` : `at least ${formatNumber(atLeast)}`;
}
