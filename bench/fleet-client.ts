/**
 * Admits Pods with many different closures, twice, and prints as JSON what the process then holds. Run with --expose-gc.
 *
 * Arguments: URL of the cache, number of closures.
 */
import { readFileSync } from "node:fs";
import { median } from "./figure.ts";
import { podReviews } from "./pod-review.ts";
import { reviewServers } from "./review-server.ts";
import { fleetRoot } from "./synthetic-fleet.ts";

/** What many closures take. Bytes. */
export interface FleetSample {
  readonly closures: number;
  /** Requests to the cache: first for all closures, then for all of them once more. */
  readonly requests: { readonly first: number; readonly again: number };
  readonly medianWarmMs: number;
  /** Before the first, and after the last, both after a garbage collection. */
  readonly idleBytes: number;
  readonly residentBytes: number;
  /** The most that it ever had. */
  readonly peakBytes: number;
  readonly heapBytes: number;
}

/** Admissions at a time. */
const atATime = 16;

function memory(field: "VmRSS" | "VmHWM"): number {
  const status = readFileSync("/proc/self/status", "utf8");
  return Number(new RegExp(`^${field}:\\s*(\\d+) kB$`, "m").exec(status)?.[1]) * 1024;
}

async function requestsOf(cache: string): Promise<number> {
  return Number(await (await fetch(`${cache}/requests`)).text());
}

const [cache = "", count] = process.argv.slice(2);
const closures = Number(count);
const roots = Array.from({ length: closures }, (_, index) => fleetRoot(index));
await using server = (await reviewServers(cache))();

/** Admits a Pod of each closure, and returns the milliseconds of each. */
async function admitAll(): Promise<readonly number[]> {
  const times: number[] = [];
  const queue = roots.values();
  const admit = async (): Promise<void> => {
    for (const root of queue) {
      const [review = ""] = podReviews({ root, strategy: "per-path" }, 1);
      const started = performance.now();
      const answer = await server.answer(review);
      times.push(performance.now() - started);
      if (!answer.includes('"patch"')) throw new Error(answer);
    }
  };
  await Promise.all(Array.from({ length: atATime }, admit));
  return times;
}

globalThis.gc?.();
const idleBytes = memory("VmRSS");
const before = await requestsOf(cache);
await admitAll();
const between = await requestsOf(cache);
const warm = await admitAll();
const after = await requestsOf(cache);
const peakBytes = memory("VmHWM");
globalThis.gc?.();
const sample: FleetSample = {
  closures,
  requests: { first: between - before, again: after - between },
  // Those that ran together waited for each other.
  medianWarmMs: median(warm) / atATime,
  idleBytes,
  residentBytes: memory("VmRSS"),
  peakBytes,
  heapBytes: process.memoryUsage().heapUsed,
};
console.log(JSON.stringify(sample));
