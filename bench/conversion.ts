import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "../test/programs/command.ts";
import { installPackages } from "../test/programs/debian-packages.ts";
import type { ConversionSample } from "./conversion-client.ts";
import {
  type CompressionName,
  compressionNames,
  type ConversionInput,
  conversionInput,
} from "./conversion-input.ts";
import { median, type Figure, type Goal } from "./figure.ts";

/** The Debian packages that have what this figure runs. */
export const programs = { zstd: "zstd", xz: "xz-utils", sha256sum: "coreutils" };

const mebibyte = 1024 * 1024;
/** Ours against the pipeline: a conversion also checks, makes an archive, hashes it, and waits until the disk has it. */
const wanted: Readonly<Record<CompressionName, number>> = { zstd: 0.8, xz: 0.95 };

interface Measured {
  readonly ratios: number[];
  readonly ours: ConversionSample[];
  readonly pipelineSeconds: number[];
  readonly narSize: number;
}

/**
 * From a NAR in a cache on this machine to a published layer, with one worker, against the pipeline of programs that
 * decompresses and hashes the same file, in turn.
 */
export async function measure({ quick }: { readonly quick: boolean }): Promise<Figure> {
  await installPackages(programs);
  const piece = quick ? 10 : 100;
  const sizes = quick ? [10, 20] : [100, 1000];
  const directory = await mkdtemp(join(tmpdir(), "nix-closure-bench-"));
  const results = new Map<string, Measured>();
  try {
    for (const compression of compressionNames) {
      for (const megabytes of sizes) {
        const input = await conversionInput(compression, megabytes, piece);
        const rounds = quick ? 1 : megabytes === 100 ? 7 : compression === "zstd" ? 5 : 3;
        const name = `${compression}, ${megabytes} MB`;
        results.set(name, await compare(input, compression, rounds, join(directory, "blobs")));
        console.error(`conversion: ${name}`);
      }
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  return figureOf(results);
}

async function compare(
  input: ConversionInput,
  compression: CompressionName,
  rounds: number,
  blobs: string,
): Promise<Measured> {
  const measured: Measured = { ratios: [], ours: [], pipelineSeconds: [], narSize: input.narSize };
  const client = fileURLToPath(new URL("conversion-client.ts", import.meta.url));
  for (let round = 0; round < rounds; round++) {
    const started = performance.now();
    await run("sh", ["-c", `${compression} -dc '${input.file}' | sha256sum`]);
    const pipelineSeconds = (performance.now() - started) / 1000;
    const printed = await run(process.execPath, [
      client,
      input.cache,
      input.publicKey,
      blobs,
      input.storePath,
    ]);
    const ours = JSON.parse(printed) as ConversionSample;
    await rm(blobs, { recursive: true });
    measured.pipelineSeconds.push(pipelineSeconds);
    measured.ours.push(ours);
    measured.ratios.push(pipelineSeconds / ours.seconds);
  }
  return measured;
}

function figureOf(results: ReadonlyMap<string, Measured>): Figure {
  const above = ({ ours }: Measured): number =>
    median(ours.map(({ idleBytes, peakBytes }) => (peakBytes - idleBytes) / mebibyte));
  const goals: Goal[] = [...results].flatMap(([name, measured]) => {
    const compression = compressionNames.find((each) => name.startsWith(each)) ?? "zstd";
    const speed: Goal = {
      what: `ratio to ${compression} -dc | sha256sum, ${name}`,
      measured: median(measured.ratios),
      atLeast: wanted[compression],
    };
    return [speed, { what: `memory above idle, ${name}, MiB`, measured: above(measured), atMost: 80 }];
  });
  return {
    name: "conversion",
    rounds: Math.min(...[...results.values()].map(({ ratios }) => ratios.length)),
    goals,
    measurements: Object.fromEntries(
      [...results].map(([name, { ours, pipelineSeconds, narSize }]) => [
        name,
        {
          narBytes: narSize,
          pipelineSeconds,
          oursSeconds: ours.map(({ seconds }) => seconds),
          idleMiB: ours.map(({ idleBytes }) => idleBytes / mebibyte),
          peakMiB: ours.map(({ peakBytes }) => peakBytes / mebibyte),
        },
      ]),
    ),
  };
}
