import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { expect, test } from "vitest";

import { fileUnwritable, narMissing, scratchFailed } from "../../src/errors.ts";
import { openScratch, toScratchError } from "../../src/push/scratch.ts";
import { failureOf, temporaryDirectory } from "../resolver/fixture.ts";

test("each push has a directory of its own, which is gone after it", async () => {
  const parent = join(await temporaryDirectory(), "a", "scratch");
  const first = await openScratch(parent);
  const second = await openScratch(parent);
  expect(second.directory).not.toBe(first.directory);
  await writeFile(join(first.directory, "layer"), "x");
  expect(existsSync(join(first.directory, "layer")), "the second one leaves it alone").toBe(true);
  await first[Symbol.asyncDispose]();
  expect(existsSync(first.directory)).toBe(false);
  await second[Symbol.asyncDispose]();
  expect(await readdir(parent)).toEqual([]);
});

test("what a killed push has left is removed by the next one, and nothing else", async () => {
  const parent = await temporaryDirectory();
  await mkdir(join(parent, "mine"));
  const script = `import { openScratch } from ${JSON.stringify(new URL("../../src/push/scratch.ts", import.meta.url).href)};
    const { directory } = await openScratch(${JSON.stringify(parent)});
    console.log(directory);
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const left = line.toString().trim();
  const beside = await openScratch(parent);
  expect(existsSync(left), "it runs").toBe(true);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(existsSync(left)).toBe(true);
  await using next = await openScratch(parent);
  expect(existsSync(left)).toBe(false);
  expect(existsSync(next.directory)).toBe(true);
  await beside[Symbol.asyncDispose]();
  expect(existsSync(join(parent, "mine"))).toBe(true);
});

test("a place that cannot be one is told with a way out", async () => {
  const file = join(await temporaryDirectory(), "file");
  await writeFile(file, "");
  const error = await failureOf(openScratch(file));
  expect(error.code).toBe("SCRATCH_FAILED");
  expect(error.message).toMatch(/^the scratch directory .*file failed: .*; name another one with --scratch$/);
});

test("failures of the disk are the directory's, others stay what they are", () => {
  const full = fileUnwritable("/s/layer", "no space").causedBy(new Error("ENOSPC: no space left on device"));
  expect(toScratchError("/s", full)).toMatchObject({
    code: "SCRATCH_FAILED",
    message: expect.stringContaining("ENOSPC") as string,
  });
  expect(toScratchError("/s", Object.assign(new Error("EIO"), { syscall: "read" }))).toMatchObject({
    code: "SCRATCH_FAILED",
  });
  for (const other of [narMissing("a", "b"), scratchFailed("/s", "x"), new Error("a bug")])
    expect(toScratchError("/s", other)).toBe(other);
});
