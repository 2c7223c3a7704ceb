import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { expect, onTestFinished, test } from "vitest";

import { decompressWithProgram } from "../../src/compression/program.ts";
import { temporaryDirectory } from "../resolver/fixture.ts";
import { until } from "../service/demo-cache.ts";

test("a program that ends while its reader is slow loses nothing", async () => {
  const process = join(await temporaryDirectory(), "pid");
  // More than the two buffers hold, and less than those and the pipe together.
  const bytes = 400_000;
  const script = `echo $$ >${process}; head -c ${bytes} /dev/zero`;
  const failures: unknown[] = [];
  const note = (error: unknown): void => void failures.push(error);
  globalThis.process.on("uncaughtException", note);
  onTestFinished(() => void globalThis.process.off("uncaughtException", note));

  const output = decompressWithProgram("sh", { args: ["-c", script] }, empty(), new AbortController().signal);
  let seen = (await output.next()).value?.length ?? 0;
  const id = Number(await readFile(process, "utf8"));
  await until(() => !isRunning(id));
  // Node.js has the output flow when the program has ended, whoever has paused it.
  await new Promise((resolve) => setImmediate(resolve));
  for await (const chunk of output) seen += chunk.length;
  expect(seen).toBe(bytes);
  expect(failures).toEqual([]);
});

async function* empty(): AsyncGenerator<Uint8Array> {
  // No input.
}

function isRunning(id: number): boolean {
  try {
    return process.kill(id, 0);
  } catch {
    return false;
  }
}
