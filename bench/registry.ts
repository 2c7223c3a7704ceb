import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installPackages } from "../test/programs/debian-packages.ts";
import { median, type Figure } from "./figure.ts";
import {
  copyBlob,
  distributionDirectory,
  pullLayers,
  startDistribution,
  startOurs,
  writeCache,
  type ServedBlob,
} from "./registry-servers.ts";
import type { ServerProcess } from "./server-process.ts";
import { load, wrkPackage } from "./wrk.ts";

/** The Debian packages that have what this figure runs. */
export const programs = wrkPackage;

/** Whether the peer is built; else measuring begins with some minutes of it. */
export async function isBuilt(): Promise<boolean> {
  return existsSync(distributionDirectory);
}

/** Blobs of one size, as many as make it matter how a file is found and opened. */
const allSizes = [
  { name: "64 kB", bytes: 64_000, count: 64, connections: 8 },
  { name: "1 MB", bytes: 1_000_000, count: 32, connections: 8 },
  // As many as containerd fetches at a time.
  { name: "32 MB", bytes: 32_000_000, count: 4, connections: 3 },
];
const servers = ["ours", "distribution"] as const;
type Server = (typeof servers)[number];

interface Sample {
  readonly bytesPerSecond: number;
  /** The same against the server's processor time, which other programs on the machine disturb less. */
  readonly bytesPerCpuSecond: number;
}
type Results = Record<string, Record<Server, Sample[]>>;

/**
 * Bytes a second of blobs that are in the registry's store, over plain HTTP from one core: ours, and distribution with
 * the same blobs, in turn.
 */
export async function measure({ quick }: { readonly quick: boolean }): Promise<Figure> {
  await installPackages(programs);
  const [rounds, seconds, warmUp] = quick ? [1, 1, 0] : [7, 3, 1];
  const sizes = quick ? allSizes.slice(0, 2).map((size) => ({ ...size, count: 4 })) : allSizes;
  const directory = await mkdtemp(join(tmpdir(), "nix-closure-bench-"));
  try {
    const cache = join(directory, "cache");
    const all = sizes.flatMap(({ bytes, count }) => Array.from({ length: count }, () => bytes));
    const hashes = await writeCache(cache, all);
    await using ours = await startOurs(directory, cache);
    await using distribution = await startDistribution(directory);
    const layers = await pullLayers(ours, hashes);
    const copies: ServedBlob[] = [];
    for (const layer of layers) copies.push(await copyBlob(distribution, layer));

    const results: Results = {};
    for (let round = 1 - warmUp; round <= rounds; round++) {
      let at = 0;
      for (const { name, count, connections } of sizes) {
        const samples = (results[name] ??= { ours: [], distribution: [] });
        for (const server of servers) {
          const blobs = (server === "ours" ? layers : copies).slice(at, at + count);
          const process = server === "ours" ? ours : distribution;
          const sample = await sampleOf({ process, directory, blobs, connections, seconds });
          // Round 0 warms up.
          if (round > 0) samples[server].push(sample);
        }
        at += count;
      }
      console.error(`registry: round ${round} of ${rounds}`);
    }
    return figureOf(rounds, results);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function sampleOf(options: {
  readonly process: ServerProcess;
  readonly directory: string;
  readonly blobs: readonly ServedBlob[];
  readonly connections: number;
  readonly seconds: number;
}): Promise<Sample> {
  const { process, directory, blobs, connections, seconds } = options;
  const requests = join(directory, "requests.txt");
  await writeFile(requests, blobs.map(({ url }) => `${new URL(url).pathname}\n`).join(""));
  const before = process.cpuSeconds();
  const { bytes, seconds: took } = await load(`http://127.0.0.1:${process.port}/`, {
    connections,
    seconds,
    requests,
  });
  return { bytesPerSecond: bytes / took, bytesPerCpuSecond: bytes / (process.cpuSeconds() - before) };
}

function figureOf(rounds: number, results: Results): Figure {
  const rates = (name: string, server: Server, rate: keyof Sample): readonly number[] =>
    (results[name]?.[server] ?? []).map((sample) => sample[rate]);
  const ratio = (name: string): number => {
    const theirs = rates(name, "distribution", "bytesPerSecond");
    const own = rates(name, "ours", "bytesPerSecond");
    return median(own.map((each, round) => each / (theirs[round] ?? Number.NaN)));
  };
  const names = Object.keys(results);
  // Each size counts the same, whatever its rate.
  const overall = Math.exp(names.reduce((sum, name) => sum + Math.log(ratio(name)), 0) / names.length);
  const what = "ratio to distribution";
  return {
    name: "registry",
    rounds,
    goals: [
      ...names.map((name) => ({ what: `${what}, blobs of ${name}`, measured: ratio(name), atLeast: 0.8 })),
      { what: `${what}, geometric mean of the sizes`, measured: overall, atLeast: 0.8 },
    ],
    measurements: Object.fromEntries(
      names.map((name) => [
        name,
        Object.fromEntries(servers.map((server) => [server, megabytes(name, server)])),
      ]),
    ),
  };

  function megabytes(name: string, server: Server): object {
    const perSecond = rates(name, server, "bytesPerSecond");
    const perCpuSecond = rates(name, server, "bytesPerCpuSecond");
    return {
      megabytesPerSecond: Math.round(median(perSecond) / 1e6),
      megabytesPerCpuSecond: Math.round(median(perCpuSecond) / 1e6),
      rounds: perSecond.map((rate) => Math.round(rate / 1e6)),
    };
  }
}
