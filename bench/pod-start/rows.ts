import { type KubeletName } from "./bench-cluster.ts";
import { type SourceName } from "./cache-servers.ts";
import { mainClosures } from "./closures.ts";
import type { Pacing } from "./product.ts";
import type { Carrier, Workload } from "./workloads.ts";

/** Cold: neither the node nor its registry has anything of it. Warm: both have all. */
export type NodeState = "cold" | "warm";

/** Something of which starts are measured. */
export interface Row {
  readonly workload: Workload;
  readonly carrier: Carrier;
  /** The worker. */
  readonly node: KubeletName;
  readonly source: SourceName;
  readonly pacing: Pacing;
  readonly states: readonly NodeState[];
  readonly rounds: number;
}

/** Rows that are measured in turn, a start of each in every round. */
export interface Block {
  readonly name: string;
  /** What the webhook is told of kubelets: it decides `auto` and `packed`. */
  readonly webhook: KubeletName;
  /** What the registry of the stock worker does. */
  readonly pacing: Pacing;
  readonly rows: readonly Row[];
}

/** A row's name, which tells it from all others. */
export function rowName({ workload, carrier, node, source, pacing }: Omit<Row, "states" | "rounds">): string {
  const unusual = [
    ...(node === "tuned" ? ["tuned"] : []),
    ...(source === "slow" ? ["20 ms"] : []),
    ...(node === "stock" && pacing === "unpaced" ? ["unpaced"] : []),
  ];
  return [workload.name, carrier, ...unusual].join(", ");
}

const main: readonly Workload[] = mainClosures.map((closure) => ({
  name: closure.name,
  closures: [closure],
}));
const ofName = (name: string): Workload => {
  const found = main.find((workload) => workload.name === name);
  if (found === undefined) throw new Error(`there is no closure ${name}`);
  return found;
};
const closureOf = (name: string): Workload["closures"][number] => {
  const [closure] = ofName(name).closures;
  if (closure === undefined) throw new Error(`${name} has no closure`);
  return closure;
};

/** Two closures in two containers, and a container with an image of somebody else. */
export const twoClosures: Workload = {
  name: "two closures and a sidecar",
  closures: [closureOf("python"), closureOf("nginx")],
  sidecar: true,
};
const tenPods: Workload = { name: "ten Pods of python", closures: [closureOf("python")], pods: 10 };

const both = ["cold", "warm"] as const;
const coldOnly = ["cold"] as const;
const stock = { node: "stock", source: "fast", pacing: "paced", states: both } as const;
const tuned = { node: "tuned", source: "fast", pacing: "unpaced", states: coldOnly } as const;

/** Medians of record are over so many rounds. */
const often = 7;
/** Where one round takes long and differs little from the next, or nothing is held to it. */
const seldom = 3;

/** Closures that are measured with slow caches too. */
const slowClosures = ["python", "150 paths", "400 paths"];
/** Closures that are measured as one image too. */
const bundledClosures = ["python", "150 paths", "400 paths"];
/** Workloads of which warm starts say little that those of others do not. */
const coldWorkloads = ["nginx", "python + nginx"];
/** With a volume for each path; beyond 200 Pods are refused. @returns rounds */
const perPath: Readonly<Record<string, number>> = {
  nginx: often,
  "50 paths": often,
  "150 paths": seldom,
};

const stockBlock: Block = {
  name: "stock",
  webhook: "stock",
  pacing: "paced",
  rows: [
    ...[...main, twoClosures].flatMap((workload): readonly Row[] => {
      const states = coldWorkloads.includes(workload.name) ? coldOnly : both;
      const row = { ...stock, states, workload, rounds: often };
      return [
        { ...row, carrier: "plain" },
        { ...row, carrier: "auto" },
        { ...row, carrier: "packed" },
      ];
    }),
    ...bundledClosures.map((name): Row => ({
      ...stock,
      states: coldOnly,
      workload: ofName(name),
      carrier: "bundle",
      rounds: seldom,
    })),
    ...slowClosures.map((name): Row => ({
      ...stock,
      source: "slow",
      states: coldOnly,
      workload: ofName(name),
      carrier: "auto",
      rounds: often,
    })),
    ...Object.entries(perPath).flatMap(([name, rounds]): readonly Row[] => [
      // First: what the images are is asked of this one, which does not pace.
      { ...tuned, workload: ofName(name), carrier: "per-path", rounds },
      { ...stock, states: coldOnly, workload: ofName(name), carrier: "per-path", rounds },
    ]),
    { ...stock, states: coldOnly, workload: tenPods, carrier: "plain", rounds: seldom },
    { ...stock, states: coldOnly, workload: tenPods, carrier: "auto", rounds: seldom },
  ],
};

/** What becomes of a volume for each path where the registry does not pace pulls: some of them take minutes. */
const unpacedBlock: Block = {
  name: "unpaced",
  webhook: "stock",
  pacing: "unpaced",
  rows: Object.entries({ nginx: seldom, python: 1 }).map(([name, rounds]): Row => ({
    ...stock,
    pacing: "unpaced",
    states: coldOnly,
    workload: ofName(name),
    carrier: "per-path",
    rounds,
  })),
};

const tunedBlock: Block = {
  name: "tuned",
  webhook: "tuned",
  pacing: "paced",
  rows: ["python", "150 paths"].flatMap((name): readonly Row[] => [
    { ...tuned, workload: ofName(name), carrier: "plain", rounds: seldom },
    { ...tuned, workload: ofName(name), carrier: "auto", rounds: seldom },
  ]),
};

/** All that is measured, but for the second app (second-app.ts). */
export const blocks: readonly Block[] = [stockBlock, tunedBlock, unpacedBlock];

/** A few rows, once: whether everything works. */
export const quickBlocks: readonly Block[] = [
  {
    ...stockBlock,
    rows: stockBlock.rows
      .filter(({ workload, source }) => ["hello", "python"].includes(workload.name) && source === "fast")
      .map((row) => ({ ...row, rounds: 1 })),
  },
];

/** The rows that somebody chose by a pattern of their names, and for so many rounds. */
export function chooseRows(
  all: readonly Block[],
  pattern: RegExp | undefined,
  rounds: number | undefined,
): readonly Block[] {
  return all
    .map((block) => ({
      ...block,
      rows: block.rows
        .filter((row) => pattern?.test(rowName(row)) ?? true)
        .map((row) => (rounds === undefined ? row : { ...row, rounds: Math.min(row.rounds, rounds) })),
    }))
    .filter(({ rows }) => rows.length > 0);
}
