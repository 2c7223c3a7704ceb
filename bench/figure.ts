/** What a figure is held to. A ratio is ours against a baseline of the same run. */
export interface Goal {
  /** What was measured, with its unit: "ratio to zstd -dc | sha256sum, 1 GB". */
  readonly what: string;
  readonly measured: number;
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** What the run of one figure gives. */
export interface Figure {
  /** Its file's name. */
  readonly name: string;
  /** Interleaved rounds; measured values are medians over them unless said otherwise. */
  readonly rounds: number;
  readonly goals: readonly Goal[];
  /** Everything that was measured, ours and the baselines', with units in the keys' names. */
  readonly measurements: Readonly<Record<string, unknown>>;
}

/** Whether a goal is reached. */
export function isReached({ measured, atLeast = -Infinity, atMost = Infinity }: Goal): boolean {
  return measured >= atLeast && measured <= atMost;
}

/** The middle value; of an even number of values the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  const upper = sorted[Math.floor(half)] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? Number.NaN) + upper) / 2;
}
