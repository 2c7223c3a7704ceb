/**
 * Admits Pods with closures of several sizes, cold and warm, and prints what it took as JSON.
 *
 * Arguments: URL of the cache, how often cold and how often warm, and the cases "<paths>:<strategy>:<containers>".
 */
import { median } from "./figure.ts";
import { podReviews, type PodRequest } from "./pod-review.ts";
import { reviewServers } from "./review-server.ts";
import { syntheticGraph } from "./synthetic-graph.ts";

/** A closure in Pods with so many containers. */
export interface GrowthCase {
  readonly paths: number;
  /** `per-path`: a volume for each path, of which a Pod has up to 200. */
  readonly strategy: "per-path" | "bundle";
  readonly containers: number;
}

/** What an admission took. */
export interface GrowthSample extends GrowthCase {
  readonly coldMs: number;
  readonly warmMs: number;
  readonly patchBytes: number;
}

function parseCase(text: string): GrowthCase {
  const [paths, strategy, containers] = text.split(":");
  return {
    paths: Number(paths),
    strategy: strategy === "bundle" ? "bundle" : "per-path",
    containers: Number(containers),
  };
}

const [cache = "", coldTimes, warmTimes, ...cases] = process.argv.slice(2);
const makeServer = await reviewServers(cache);

async function sample(growthCase: GrowthCase): Promise<GrowthSample> {
  const { root } = syntheticGraph(growthCase.paths);
  const { containers, strategy } = growthCase;
  const request: PodRequest = { root, containers, strategy };
  const reviews = podReviews(request, 100);
  const review = (index: number): string => reviews[index % reviews.length] ?? "";
  const cold: number[] = [];
  const warm: number[] = [];
  let patchBytes = 0;
  for (let at = 0; at < Number(coldTimes); at++) {
    await using server = makeServer();
    const time = async (index: number): Promise<number> => {
      const started = performance.now();
      const answer = await server.answer(review(index));
      const ms = performance.now() - started;
      patchBytes = patchOf(answer).length;
      return ms;
    };
    cold.push(await time(0));
    for (let index = 1; index <= Number(warmTimes); index++) warm.push(await time(index));
  }
  return { ...growthCase, coldMs: median(cold), warmMs: median(warm), patchBytes };
}

function patchOf(answer: string): Buffer {
  const { response } = JSON.parse(answer) as { readonly response: { readonly patch?: string } };
  if (response.patch === undefined) throw new Error(`no patch: ${answer}`);
  return Buffer.from(response.patch, "base64");
}

const samples: GrowthSample[] = [];
const parsed = cases.map(parseCase);
// What runs first is compiled while it runs.
if (parsed[0] !== undefined) await sample(parsed[0]);
for (const each of parsed) samples.push(await sample(each));
console.log(JSON.stringify(samples));
