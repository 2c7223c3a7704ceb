import { type ChildProcess, fork } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdir, readdir, rename } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { expect, it, onTestFinished } from "vitest";

import { lockDirectory } from "../../src/image/directory-lock.ts";
import { failureOf, temporaryDirectory } from "../resolver/fixture.ts";

/** Another process that has tried to take the lock; its answer is its first message. */
async function lockElsewhere(
  directory: string,
): Promise<{ readonly child: ChildProcess; readonly answer: unknown }> {
  const child = fork(fileURLToPath(new URL("lock-child.ts", import.meta.url)), [directory]);
  onTestFinished(() => void child.kill("SIGKILL"));
  const [answer] = (await once(child, "message")) as [unknown];
  return { child, answer };
}

it("keeps others out until it is released", async () => {
  const directory = await temporaryDirectory();
  const lock = await lockDirectory(directory);
  const error = await failureOf(lockDirectory(directory));
  expect(error.code).toBe("BLOB_STORE_IN_USE");
  expect(error.message).toContain(directory);
  expect((await lockElsewhere(directory)).answer).toBe("BLOB_STORE_IN_USE");
  await lock.release();
  const again = await lockDirectory(directory);
  await again.release();
  expect(await readdir(directory)).toEqual([]);
});

it("is free again when its owner was killed, and not before", async () => {
  const directory = await temporaryDirectory();
  const { child, answer } = await lockElsewhere(directory);
  expect(answer).toBe("locked");
  expect((await failureOf(lockDirectory(directory))).code).toBe("BLOB_STORE_IN_USE");
  child.kill("SIGKILL");
  await once(child, "exit");
  const lock = await lockDirectory(directory);
  expect((await failureOf(lockDirectory(directory))).code).toBe("BLOB_STORE_IN_USE");
  await lock.release();
});

it("is kept by an owner that is stopped and cannot answer", async () => {
  const directory = await temporaryDirectory();
  const { child } = await lockElsewhere(directory);
  child.kill("SIGSTOP");
  expect((await failureOf(lockDirectory(directory))).code).toBe("BLOB_STORE_IN_USE");
});

it("goes to one of many that start at once after a crash", async () => {
  for (let round = 0; round < 5; round++) {
    const directory = await temporaryDirectory();
    const { child } = await lockElsewhere(directory);
    child.kill("SIGKILL");
    await once(child, "exit");
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => lockDirectory(directory)));
    const winners = outcomes.filter(({ status }) => status === "fulfilled");
    expect(winners).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "BLOB_STORE_IN_USE" });
      else await outcome.value.release();
    }
    expect(await readdir(directory)).toEqual([]);
  }
});

it("leaves nothing of a start that was killed in its middle, and leaves one alone that is in it", async () => {
  const directory = await temporaryDirectory();
  const listenAt = async (name: string): Promise<Server> => {
    const server = createServer((connection) => connection.end("w"));
    await new Promise<void>((resolve) => server.listen(join(directory, "new"), resolve));
    await rename(join(directory, "new"), join(directory, name));
    return server;
  };
  const [dead, alive] = [`lock-${randomUUID()}.new`, `lock-${randomUUID()}.new`];
  (await listenAt(dead)).close();
  const server = await listenAt(alive);
  onTestFinished(() => void server.close());
  const lock = await lockDirectory(directory);
  await lock.release();
  expect(await readdir(directory)).toEqual([alive]);
});

it("can be taken in a directory whose name is too long for a socket", async () => {
  const directory = join(await temporaryDirectory(), "d".repeat(200));
  await mkdir(directory);
  const lock = await lockDirectory(directory);
  expect((await failureOf(lockDirectory(directory))).code).toBe("BLOB_STORE_IN_USE");
  await lock.release();
});

it("of a directory that is not there is an error in words", async () => {
  const error = await failureOf(lockDirectory(join(await temporaryDirectory(), "missing")));
  expect(error.code).toBe("DISK_FAILED");
});
