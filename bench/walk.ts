import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { run } from "../test/programs/command.ts";
import { installPackages } from "../test/programs/debian-packages.ts";
import { median, type Figure } from "./figure.ts";
import { clientCore, pinned, serverCore } from "./server-process.ts";
import { startSyntheticCache } from "./synthetic-cache.ts";
import { formOf, syntheticGraph } from "./synthetic-graph.ts";
import { syntheticKey } from "./synthetic-paths.ts";

/** The Debian packages that have what this figure runs. */
export const programs = { nix: "nix-bin", taskset: "util-linux" };

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/**
 * Cold walk of a closure in a cache that answers after 20 ms: our resolver in a new process, the whole command
 * `nix-closure resolve`, a request after the other, and Nix.
 */
export async function measure({ quick }: { readonly quick: boolean }): Promise<Figure> {
  await installPackages(programs);
  const [count, latencyMs, rounds, serialRounds] = quick ? [60, 10, 1, 1] : [1500, 20, 7, 2];
  const graph = syntheticGraph(count);
  const { root } = graph;
  await using cache = await startSyntheticCache({ latencyMs, paths: ["graph", count], core: serverCore });
  const url = `http://127.0.0.1:${cache.port}`;
  const directory = await mkdtemp(join(tmpdir(), "nix-closure-bench-"));
  try {
    const resolverCpuMs: number[] = [];
    const walk = async (kind: "resolver" | "serial"): Promise<number> => {
      const text = await onClient([process.execPath, file("walk-client.ts"), kind, url, root]);
      const { ms, cpuMs, paths } = JSON.parse(text) as Walked;
      expectPaths(kind, paths, count);
      if (kind === "resolver") resolverCpuMs.push(cpuMs);
      return ms;
    };
    const config = join(directory, "nix-closure.yaml");
    await writeFile(
      config,
      stringify({
        sources: { main: { caches: [url], publicKeys: [syntheticKey] } },
        plan: { maxPaths: 3844 },
      }),
    );
    const command = async (): Promise<number> => {
      const words = [
        process.execPath,
        file("../bin/nix-closure.js"),
        "resolve",
        "--json",
        "--config",
        config,
      ];
      const { ms, output } = await timed([...words, root]);
      expectPaths("nix-closure resolve", output.match(/"narHash"/g)?.length ?? 0, count);
      return ms;
    };
    const nix = async (round: number): Promise<number> => {
      const home = join(directory, `nix-${round}`);
      const { ms, output } = await timed(
        ["nix", "--extra-experimental-features", "nix-command", "path-info", "-r", "--store", url, root],
        { HOME: home, XDG_CACHE_HOME: join(home, "cache"), XDG_CONFIG_HOME: join(home, "config") },
      );
      expectPaths("nix path-info", output.trim().split("\n").length, count);
      return ms;
    };

    const ms = {
      resolver: [] as number[],
      command: [] as number[],
      serial: [] as number[],
      nix: [] as number[],
    };
    for (let round = 0; round < rounds; round++) {
      ms.resolver.push(await walk("resolver"));
      ms.command.push(await command());
      // They take half a minute each, of which nearly all is waiting.
      if (round < serialRounds) {
        ms.serial.push(await walk("serial"));
        ms.nix.push(await nix(round));
      }
      console.error(`walk: round ${round + 1} of ${rounds}`);
    }
    const ours = median(ms.resolver);
    return {
      name: "walk",
      rounds,
      goals: [
        {
          what: `cold walk of ${count} paths at ${latencyMs} ms an answer, s`,
          measured: ours / 1000,
          atMost: 1.2,
        },
        { what: "times as fast as the serial walk", measured: median(ms.serial) / ours, atLeast: 25 },
      ],
      measurements: {
        paths: count,
        latencyMs,
        ...formOf(graph),
        nix: (await run("nix", ["--version"])).trim(),
        serialRounds,
        timesAsFastAsNix: median(ms.nix) / ours,
        commandTimesAsFastAsNix: median(ms.nix) / median(ms.command),
        resolverCpuMs: Math.round(median(resolverCpuMs)),
        medianMs: Object.fromEntries(
          Object.entries(ms).map(([name, all]) => [name, Math.round(median(all))]),
        ),
        roundsMs: Object.fromEntries(Object.entries(ms).map(([name, all]) => [name, all.map(Math.round)])),
      },
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** What walk-client.ts prints. */
interface Walked {
  readonly ms: number;
  readonly cpuMs: number;
  readonly paths: number;
}

async function timed(
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly ms: number; readonly output: string }> {
  const started = performance.now();
  const output = await onClient(words, env);
  return { ms: performance.now() - started, output };
}

function onClient(words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
  const [program, ...args] = pinned(clientCore, words);
  return run(program, args, { env });
}

function expectPaths(who: string, found: number, count: number): void {
  if (found !== count) throw new Error(`${who} found ${found} paths, not ${count}`);
}
