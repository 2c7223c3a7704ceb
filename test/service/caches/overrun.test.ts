import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { cacheFiles, pathOf } from "../../resolver/fake-store.ts";
import { makePair, type TestPair } from "../../webhook/made-pair.ts";
import { until } from "../demo-cache.ts";
import { Trial } from "./trial.ts";

const hasPython = spawnSync("python3", ["--version"]).status === 0;
const root = pathOf("wide");
const leaves = Array.from({ length: 149 }, (_, index) => pathOf(`leaf-${index}`));

let pair: TestPair;
let directory: string;
beforeAll(async () => {
  pair = await makePair();
  directory = await mkdtemp(join(tmpdir(), "nix-closure-overrun-"));
  const files = cacheFiles([[root, { references: leaves }], ...leaves.map((leaf) => [leaf] as const)]);
  for (const [name, bytes] of files) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await writeFile(join(directory, name), bytes);
  }
});
afterAll(() => rm(directory, { recursive: true }));

/** The port that a server says in the first line of its standard output, which stays open. */
async function portOf(child: ChildProcess): Promise<number> {
  let said = "";
  child.stdout?.on("data", (chunk: Buffer) => (said += chunk.toString()));
  await until(() => said.includes("\n"));
  return Number(/port (\d+)/.exec(said)?.[1]);
}

const servers: readonly (readonly [string, boolean, { times: number; query: string }, () => ChildProcess])[] =
  [
    [
      "with a listen queue of five, and slow to take connections in",
      true,
      { times: 1, query: "?timeout=20s" },
      () => spawn(process.execPath, [fileURLToPath(new URL("./small-queue.ts", import.meta.url)), directory]),
    ],
    [
      hasPython
        ? "that is python3 -m http.server"
        : "that is python3 -m http.server (this machine has no python3)",
      hasPython,
      { times: 2, query: "?timeout=10s" },
      () =>
        spawn("python3", ["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", directory]),
    ],
  ];

for (const [what, isHere, { times, query }, start] of servers) {
  test.skipIf(!isHere)(`a closure of 150 paths comes in time from a cache ${what}`, async () => {
    const child = start();
    const exit = once(child, "exit");
    // It says each request there, and must not wait until somebody reads it.
    child.stderr?.resume();
    try {
      const url = `http://127.0.0.1:${await portOf(child)}`;
      for (let cold = 0; cold < times; cold++) {
        await using trial = await Trial.start(pair, { demo: [url] });
        const { allowed, message } = await trial.review("demo", root, query);
        expect(message).toBe("");
        expect(allowed).toBe(true);
        const metrics = await trial.metrics();
        expect(metrics.get('cache_requests_total{kind="narinfo",outcome="hit"}')).toBe(150);
        expect(metrics.get('cache_requests_total{kind="nar",outcome="hit"}')).toBe(150);
      }
    } finally {
      child.kill();
      await exit;
    }
  });
}
