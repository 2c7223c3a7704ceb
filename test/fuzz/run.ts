/**
 * Fuzzes all targets: `node test/fuzz/run.ts [--minutes N] [--target NAME] [--seed S] [--input FILE]`. Exits with 1 if
 * one has failed; the input is then in test/fuzz/failures.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";

import { writeReport } from "./report.ts";
import type { Failure } from "./session.ts";
import { timed } from "./session.ts";
import { targetNames, loadTarget } from "./targets.ts";
import { inputOf, sharedInput, type FuzzMessage, type FuzzResult, type FuzzWork } from "./worker-data.ts";

/** An input that takes longer, in milliseconds, will not end: every target allows a second or two. */
const hangMs = 30_000;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    target: { type: "string" },
    seed: { type: "string" },
    input: { type: "string" },
  },
});
if (values.input !== undefined) await tryOne(values.target ?? "", values.input);
else await fuzz();

/** Tries one input again, as a failure left it. */
async function tryOne(name: string, file: string): Promise<void> {
  console.log(await timed(await loadTarget(name), readFileSync(file)));
  process.exit(0);
}

async function fuzz(): Promise<void> {
  const minutes = Number(values.minutes);
  if (!(minutes > 0)) throw new Error("--minutes is to be above 0");
  const seed = values.seed === undefined ? randomBytes(4).readUInt32LE() : Number(values.seed);
  const names = targetNames.filter((name) => values.target === undefined || name === values.target);
  if (names.length === 0) throw new Error(`there is no target ${values.target}: ${targetNames.join(", ")}`);
  console.log(`fuzzing ${names.join(", ")} for ${minutes} min, seed ${seed}`);

  const results = await runWorker({ names, seed, milliseconds: minutes * 60_000, shared: sharedInput() });
  for (const { target, executions, accepted, kinds, failure } of results) {
    console.log(
      `${target.padEnd(14)} ${executions} executions, ${accepted} accepted, ${kinds} kinds of outcome` +
        (failure === undefined ? "" : ", FAILED"),
    );
    if (failure !== undefined) show(failure);
  }
  writeReport(results);
  process.exitCode = results.some(({ failure }) => failure !== undefined) ? 1 : 0;
}

/** In a thread of its own, so that one that hangs can be told, and ended. */
async function runWorker(work: FuzzWork): Promise<readonly FuzzResult[]> {
  const worker = new Worker(new URL("worker.ts", import.meta.url), { workerData: work });
  const { promise, resolve, reject } = Promise.withResolvers<readonly FuzzResult[]>();
  let latest: readonly FuzzResult[] = [];
  let count = -1;
  let since = performance.now();
  const watch = setInterval(() => {
    const current = inputOf(work.shared);
    if (current.count !== count) [count, since] = [current.count, performance.now()];
    if (performance.now() - since < hangMs) return;
    const { target, input } = current;
    const message = `an input did not end within ${hangMs} ms`;
    const failure = { target, seed: work.seed, execution: count, message, input, shrunk: input };
    resolve(withFailure(latest, failure));
  }, 500);
  worker.on("message", (message: FuzzMessage) => {
    latest = message.results;
    if (message.done) resolve(latest);
  });
  worker.once("error", (error) => {
    const { target, input } = inputOf(work.shared);
    const message = `the thread ended: ${String(error)}`;
    resolve(
      withFailure(latest, { target, seed: work.seed, execution: count, message, input, shrunk: input }),
    );
  });
  worker.once("exit", (code) => reject(new Error(`the thread ended with ${code}`)));
  try {
    return await promise;
  } finally {
    clearInterval(watch);
    await worker.terminate();
  }
}

function withFailure(results: readonly FuzzResult[], failure: Failure): readonly FuzzResult[] {
  const { target, execution } = failure;
  const others = results.filter((result) => result.target !== target);
  const known = results.find((result) => result.target === target);
  return [...others, { target, executions: execution, accepted: 0, kinds: 0, ...known, failure }];
}

function show({ target, seed, execution, message, input, shrunk }: Failure): void {
  const directory = new URL("failures/", import.meta.url);
  mkdirSync(directory, { recursive: true });
  const file = fileURLToPath(new URL(`${target}-${seed}-${execution}`, directory));
  writeFileSync(file, shrunk);
  writeFileSync(`${file}.full`, input);
  console.log(`\n${target}, seed ${seed}, execution ${execution}: ${message}`);
  console.log(`${shrunk.length} bytes, shrunk from ${input.length}, are in ${file}; try them again with`);
  console.log(`  node test/fuzz/run.ts --target ${target} --input ${file}`);
  if (shrunk.length <= 2000) {
    console.log(`hex: ${Buffer.from(shrunk).toString("hex")}`);
    console.log(`text: ${JSON.stringify(Buffer.from(shrunk).toString("latin1"))}\n`);
  } else console.log(`base64: ${Buffer.from(shrunk).toString("base64").slice(0, 20_000)}\n`);
}
