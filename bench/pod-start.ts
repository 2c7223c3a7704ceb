/**
 * How long Pods take to start, on a kind cluster with a worker as kubelets come and one that does not limit pulls.
 *
 * POD_START_ROWS, a pattern of rows' names ("python|second app"), and POD_START_ROUNDS choose what is measured;
 * POD_START_KEEP=1 leaves the cluster, and uses one that was left.
 */
import type { Figure } from "./figure.ts";
import { makeBenchCache } from "./pod-start/bench-cache.ts";
import { type BenchCluster, makeCluster, removeCluster } from "./pod-start/bench-cluster.ts";
import { type CacheServers, startCaches } from "./pod-start/cache-servers.ts";
import { estimateStarts } from "./pod-start/estimates.ts";
import { goalsOf } from "./pod-start/goals.ts";
import { makePlainImages, servePlainImages } from "./pod-start/plain-registry.ts";
import { chooseRegistry, installProduct } from "./pod-start/product.ts";
import { reportOf } from "./pod-start/report.ts";
import { type BlockSamples, measureBlock } from "./pod-start/rounds.ts";
import { type Block, blocks, chooseRows, quickBlocks } from "./pod-start/rows.ts";
import { measureSecondApp, type SecondAppSamples } from "./pod-start/second-app.ts";
import { Session } from "./pod-start/session.ts";

/** What is measured. */
interface Choice {
  readonly blocks: readonly Block[];
  /** Of the second app; 0: none. */
  readonly secondRounds: number;
}

const secondAppName = "second app";

/** Makes a cluster, measures, and takes it away, whatever happens. */
export async function measure({ quick }: { readonly quick: boolean }): Promise<Figure> {
  const choice = chosen(quick);
  const begun = Date.now();
  const tell = (what: string): void =>
    console.error(`pod-start: ${what}, after ${Math.round((Date.now() - begun) / 1000)} s`);
  const cache = await makeBenchCache();
  const images = await makePlainImages(cache);
  tell("cache and plain images are made");
  try {
    const cluster = await makeCluster(images);
    tell("the cluster is there");
    await using caches = await startCaches(cache, cluster.hostAddress);
    const figure = await measureOn(cluster, caches, choice, tell);
    tell("measured");
    return figure;
  } finally {
    await removeCluster();
  }
}

function chosen(quick: boolean): Choice {
  const pattern = process.env["POD_START_ROWS"];
  const rows = pattern === undefined ? undefined : new RegExp(pattern);
  const rounds =
    process.env["POD_START_ROUNDS"] === undefined ? undefined : Number(process.env["POD_START_ROUNDS"]);
  return {
    blocks: chooseRows(quick ? quickBlocks : blocks, rows, rounds),
    secondRounds: !quick && (rows?.test(secondAppName) ?? true) ? (rounds ?? 7) : 0,
  };
}

async function measureOn(
  cluster: BenchCluster,
  caches: CacheServers,
  choice: Choice,
  tell: (what: string) => void,
): Promise<Figure> {
  const { stock, tuned } = cluster.nodes;
  await Promise.all([servePlainImages(stock), servePlainImages(tuned)]);
  await chooseRegistry(tuned, "unpaced");
  const prepare = async ({ webhook, pacing }: Pick<Block, "webhook" | "pacing">): Promise<void> => {
    await chooseRegistry(stock, pacing);
    await installProduct(caches, webhook);
    await session.settle({ stock: pacing, tuned: "unpaced" });
  };
  await chooseRegistry(stock, "paced");
  await installProduct(caches, "stock");
  await using session = await Session.open(cluster);
  const samples: BlockSamples[] = [];
  for (const block of choice.blocks) {
    await prepare(block);
    tell(`${block.name} begins`);
    samples.push(await measureBlock(session, block));
  }
  let secondApp: readonly SecondAppSamples[] = [];
  if (choice.secondRounds > 0) {
    await prepare({ webhook: "stock", pacing: "paced" });
    tell("second app begins");
    secondApp = await measureSecondApp(session, choice.secondRounds);
  }
  const report = reportOf(samples, secondApp, await estimateStarts(caches));
  return {
    name: "pod-start",
    rounds: Math.max(
      choice.secondRounds,
      ...choice.blocks.flatMap(({ rows }) => rows.map(({ rounds }) => rounds)),
    ),
    goals: goalsOf(report),
    measurements: { ...report },
  };
}
