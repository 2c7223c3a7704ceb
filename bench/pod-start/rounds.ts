import { bytesBeyond } from "./image-bytes.ts";
import type { Block, NodeState, Row } from "./rows.ts";
import { rowName } from "./rows.ts";
import type { Session } from "./session.ts";
import { referencesOf, type Start } from "./start.ts";
import { podsOf } from "./workloads.ts";

/** One measured start of a row. */
export interface Sample extends Start {
  readonly round: number;
  readonly state: NodeState;
}

/** What the rounds of a row gave. */
export interface RowSamples {
  readonly row: Row;
  /** What its images are, without the sidecar's; base and store images count. */
  readonly images: number;
  /** What the webhook made of the strategy. */
  readonly strategy: string;
  /** Bytes of all images, as a node pulls them. */
  readonly imageBytes: number;
  readonly samples: readonly Sample[];
  /** Another strategy of the same workload whose Pods are the same: it was measured for both. */
  readonly sameAs?: string;
}

/** A row whose Pods are refused. */
export interface RefusedRow {
  readonly row: Row;
  readonly reason: string;
}

/** A row with what its Pods are like. */
interface PlannedRow {
  readonly row: Row;
  readonly references: readonly string[];
  readonly strategy: string;
}

/** What the rounds of a block gave. */
export interface BlockSamples {
  readonly rows: readonly RowSamples[];
  readonly refused: readonly RefusedRow[];
}

/**
 * Measures the rows of a block, one start of each in every round; each round begins with another row.
 *
 * @throws Error if a start fails
 */
export async function measureBlock(session: Session, block: Block): Promise<BlockSamples> {
  const { planned, refused } = await planRows(session, block.rows);
  for (const { row, reason } of refused) console.error(`pod-start: ${rowName(row)}: refused: ${reason}`);
  const { distinct, same } = distinctRows(planned);
  const samples = new Map(distinct.map(({ row }) => [row, [] as Sample[]]));
  /** By references. */
  const imageBytes = new Map<string, number>();
  const rounds = Math.max(0, ...distinct.map(({ row }) => row.rounds));
  for (let round = 1; round <= rounds; round++) {
    const begun = Date.now();
    const turn = distinct.filter(({ row }) => row.rounds >= round);
    const first = Math.floor(((round - 1) * turn.length) / rounds);
    for (const { row, references } of [...turn.slice(first), ...turn.slice(0, first)]) {
      const rowBegun = Date.now();
      const measured = await measureRow(session, row, round);
      samples.get(row)?.push(...measured);
      const key = references.join(" ");
      if (!imageBytes.has(key)) {
        imageBytes.set(key, bytesBeyond(await session.partsOf(row.node, references)));
      }
      const words = measured.map(
        ({ state, milliseconds, failedEvents }) =>
          `${state} ${milliseconds} ms${failedEvents === 0 ? "" : ` (${failedEvents} Failed)`}`,
      );
      const all = ((Date.now() - rowBegun) / 1000).toFixed(1);
      console.error(`pod-start:   ${rowName(row)}: ${words.join(", ")}; ${all} s in all`);
    }
    const took = Math.round((Date.now() - begun) / 1000);
    console.error(`pod-start: ${block.name}: round ${round} of ${rounds}, ${took} s`);
  }
  const rows = planned.map(({ row, references, strategy }): RowSamples => {
    const source = same.get(row) ?? row;
    return {
      row,
      strategy,
      images: references.length,
      imageBytes: imageBytes.get(references.join(" ")) ?? 0,
      samples: (samples.get(source) ?? []).filter(({ state }) => row.states.includes(state)),
      ...(source.carrier === row.carrier ? {} : { sameAs: source.carrier }),
    };
  });
  return { rows, refused };
}

async function measureRow(session: Session, row: Row, round: number): Promise<readonly Sample[]> {
  const { workload, carrier, source, node: kubelet, states } = row;
  const node = session.cluster.nodes[kubelet];
  const ours = carrier !== "plain";
  const measured: Sample[] = [];
  for (const state of states) {
    const pods = podsOf(workload, { carrier, source, node });
    if (state === "cold") await session.makeCold(kubelet, { registry: ours });
    // The webhook knows the closure: what its first look at one takes is a figure of its own.
    if (ours && pods[0] !== undefined) await session.admit(pods[0]);
    measured.push({ ...(await session.start(kubelet, pods)), round, state });
  }
  return measured;
}

/** Asks the webhook what it makes of each row. */
async function planRows(
  session: Session,
  rows: readonly Row[],
): Promise<{ readonly planned: readonly PlannedRow[]; readonly refused: readonly RefusedRow[] }> {
  const planned: PlannedRow[] = [];
  const refused: RefusedRow[] = [];
  for (const row of rows) {
    const { workload, carrier, source } = row;
    const [pod] = podsOf(workload, { carrier, source, node: session.cluster.nodes[row.node] });
    if (pod === undefined) continue;
    try {
      const admitted = await session.admit(pod);
      const status = admitted.metadata.annotations?.["nix.closure/status"];
      const { strategy = carrier } = JSON.parse(status ?? "{}") as { readonly strategy?: string };
      planned.push({ row, strategy, references: [...new Set(referencesOf(admitted))].toSorted() });
    } catch (error) {
      refused.push({ row, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  return { planned, refused };
}

/** Rows that start the very same Pods are measured once, as often as the one that wants it most. */
function distinctRows(planned: readonly PlannedRow[]): {
  readonly distinct: readonly PlannedRow[];
  /** The row that is measured for it, by row. */
  readonly same: ReadonlyMap<Row, Row>;
} {
  const found = new Map<string, PlannedRow[]>();
  for (const each of planned) {
    const { workload, node, source, pacing } = each.row;
    const key = JSON.stringify([workload.name, node, source, pacing, each.references]);
    found.set(key, [...(found.get(key) ?? []), each]);
  }
  const distinct: PlannedRow[] = [];
  const same = new Map<Row, Row>();
  for (const [first, ...others] of found.values()) {
    if (first === undefined) continue;
    const all = [first, ...others].map(({ row }) => row);
    const row = {
      ...first.row,
      rounds: Math.max(...all.map(({ rounds }) => rounds)),
      states: (["cold", "warm"] as const).filter((state) => all.some(({ states }) => states.includes(state))),
    };
    distinct.push({ ...first, row });
    for (const each of all) same.set(each, row);
  }
  return { distinct, same };
}
