import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { storeHash } from "../src/nix/store-path.ts";
import { installPackages } from "../test/programs/debian-packages.ts";
import { compileProduct } from "./compiled-product.ts";
import { median, type Figure, type Goal } from "./figure.ts";
import { sentBytes, startFileServer } from "./file-server.ts";
import { layoutName, writeLayerImage } from "./layer-image.ts";
import { runMeasured, type ProgramRun } from "./process-tree.ts";
import { pushInput, type PushInput, writeSignKey } from "./push-input.ts";
import { distributionDirectory, startDistribution } from "./registry-servers.ts";

/** The Debian packages that have what this figure runs. */
export const programs = { skopeo: "skopeo", zstd: "zstd" };

/** Whether the registry is built; else measuring begins with some minutes of it. */
export async function isBuilt(): Promise<boolean> {
  return existsSync(distributionDirectory);
}

const mebibyte = 1024 * 1024;
const maxRatio = 1.3;
/** gzip is made by JavaScript, in two threads of its own. */
const maxMebibytes: Readonly<Record<Compression, number>> = { zstd: 200, gzip: 256, none: 200 };
/** Of what the cache has; a little is read twice, to tell what a path is. */
const maxReads = 1.05;

type Compression = "zstd" | "gzip" | "none";
const compressions: readonly Compression[] = ["zstd", "gzip", "none"];

/** What was pushed, and how. */
interface Push extends ProgramRun {
  /** Bytes of the blobs that were sent. */
  readonly sentBytes: number;
}

/** Everything that a run works with. */
interface Bench {
  readonly input: PushInput;
  /** The compiled product's program. */
  readonly program: string;
  readonly key: string;
  /** For temporary files. */
  readonly directory: string;
  /** An OCI layout of the image that skopeo copies. */
  readonly image: string;
}

/**
 * Push of a closure out of a binary cache into an empty registry on this machine, against `skopeo copy` of an image with
 * the same layers at the same compression level, in turn; and how much memory it takes, from caches and with compressions
 * of all kinds.
 */
export async function measure({ quick }: { readonly quick: boolean }): Promise<Figure> {
  await installPackages(programs);
  const rounds = quick ? 1 : 5;
  const input = quick ? await pushInput(6, 20e6) : await pushInput(40, 1e9);
  const directory = await mkdtemp(join(tmpdir(), "nix-closure-bench-"));
  try {
    const key = join(directory, "key");
    await writeSignKey(key);
    const program = await compileProduct(join(directory, "product"));
    const bench = { input, program, key, directory, image: join(directory, "image") };
    const files = pathToFileURL(input.cache).href;
    const layerBytes = await makeImage(bench, files);
    const [ours, theirs]: [Push[], ProgramRun[]] = [[], []];
    for (let round = 0; round < rounds; round++) {
      theirs.push(await copy(bench));
      ours.push(await push(bench, files, "zstd"));
    }
    const others = new Map<string, Push>();
    for (const compression of compressions.slice(1)) {
      others.set(`${compression}, cache of files`, await push(bench, files, compression));
    }
    await using server = await startFileServer(input.cache);
    const reads = new Map<Compression, number>();
    for (const compression of compressions) {
      const before = await sentBytes(server);
      const pushed = await push(bench, `http://127.0.0.1:${server.port}`, compression);
      others.set(`${compression}, cache over HTTP`, pushed);
      reads.set(compression, ((await sentBytes(server)) - before) / input.fileBytes);
    }
    return figureOf({ input, layerBytes, ours, theirs, others, reads });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Pushes without compression, and makes an image of the layers. @returns bytes of the layers */
async function makeImage(bench: Bench, from: string): Promise<number> {
  return withRegistry(bench, async (host) => {
    await pushTo(bench, host, from, "none");
    return writeLayerImage(bench.image, `http://${host}/v2/bench`, storeHash(bench.input.root));
  });
}

async function push(bench: Bench, from: string, compression: Compression): Promise<Push> {
  return withRegistry(bench, async (host) => pushTo(bench, host, from, compression));
}

async function pushTo(
  { input, program, key, directory }: Bench,
  host: string,
  from: string,
  compression: Compression,
): Promise<Push> {
  const words = ["--to", `${host}/bench`, "--from", from, "--public-key", input.publicKey, "--sign-key", key];
  const kind = ["--system", "x86_64-linux", "--compression", compression, "--json"];
  const home = join(directory, "home");
  const run = await runMeasured([process.execPath, program, "push", input.root, ...words, ...kind], {
    XDG_CACHE_HOME: home,
  });
  // What it remembers would spare the next one the work.
  await rm(home, { recursive: true, force: true });
  const { sent } = JSON.parse(run.stdout) as { readonly sent: { readonly bytes: number } };
  return { ...run, sentBytes: sent.bytes };
}

async function copy(bench: Bench): Promise<ProgramRun> {
  return withRegistry(bench, async (host) => {
    const level = ["--dest-compress-format", "zstd", "--dest-compress-level", "3"];
    const from = `oci:${bench.image}:${layoutName}`;
    const to = `docker://${host}/bench/image:1`;
    const how = ["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", ...level];
    return runMeasured(["skopeo", ...how, from, to]);
  });
}

/** An empty registry: else a blob that is there already would be sent no second time. */
async function withRegistry<T>({ directory }: Bench, use: (host: string) => Promise<T>): Promise<T> {
  const storage = join(directory, "registry");
  await mkdir(storage);
  try {
    await using registry = await startDistribution(storage, "any");
    return await use(`127.0.0.1:${registry.port}`);
  } finally {
    await rm(storage, { recursive: true, force: true });
  }
}

interface Measured {
  readonly input: PushInput;
  readonly layerBytes: number;
  readonly ours: readonly Push[];
  readonly theirs: readonly ProgramRun[];
  /** By compression and kind of cache. */
  readonly others: ReadonlyMap<string, Push>;
  /** Bytes that a cache over HTTP has sent, for each that its NARs have. */
  readonly reads: ReadonlyMap<Compression, number>;
}

function figureOf({ input, layerBytes, ours, theirs, others, reads }: Measured): Figure {
  const peaks = (runs: readonly ProgramRun[]): readonly number[] =>
    runs.map(({ peakBytes }) => peakBytes / mebibyte);
  const memory = (name: string, measured: number): Goal => ({
    what: `memory, ${name}, MiB`,
    measured,
    atMost: maxMebibytes[compressions.find((each) => name.startsWith(each)) ?? "zstd"],
  });
  const goals: readonly Goal[] = [
    {
      what: "time, ratio to skopeo copy, zstd",
      measured: median(ours.map(({ seconds }, round) => seconds / (theirs[round]?.seconds ?? Number.NaN))),
      atMost: maxRatio,
    },
    memory("zstd, cache of files", Math.max(...peaks(ours))),
    ...[...others].map(([name, { peakBytes }]) => memory(name, peakBytes / mebibyte)),
    {
      what: "bytes read over HTTP, ratio to the NARs there",
      measured: Math.max(...reads.values()),
      atMost: maxReads,
    },
  ];
  return {
    name: "push",
    rounds: ours.length,
    goals,
    measurements: {
      narBytes: input.narBytes,
      cacheBytes: input.fileBytes,
      layerBytes,
      sentBytes: ours[0]?.sentBytes,
      oursSeconds: ours.map(({ seconds }) => seconds),
      oursPeakMiB: peaks(ours),
      skopeoSeconds: theirs.map(({ seconds }) => seconds),
      skopeoPeakMiB: peaks(theirs),
      readsOverHttp: Object.fromEntries(reads),
      others: Object.fromEntries(
        [...others].map(([name, { seconds, peakBytes, sentBytes: bytes }]) => [
          name,
          { seconds, peakMiB: peakBytes / mebibyte, sentBytes: bytes },
        ]),
      ),
    },
  };
}
