import { expect, test } from "vitest";

import { type Room, SpoolBudget } from "../../src/push/spool-budget.ts";

const never = new AbortController().signal;

/** Takes room, and says whether it is there at once. */
async function isFree(budget: SpoolBudget, bytes: number): Promise<Room | undefined> {
  const stop = new AbortController();
  const room = budget.take(bytes, stop.signal);
  const first = await Promise.race([room, new Promise((resolve) => setImmediate(resolve, "waits"))]);
  if (first !== "waits") return room;
  stop.abort(new Error("asked enough"));
  await room.catch(() => undefined);
  return undefined;
}

test("layers fit until the bytes are taken, and again when some are given back", async () => {
  const budget = new SpoolBudget(100);
  const first = await budget.take(60, never);
  const second = await isFree(budget, 40);
  expect(second).toBeDefined();
  expect(await isFree(budget, 1)).toBeUndefined();
  first.resize(10);
  expect(await isFree(budget, 50)).toBeDefined();
});

test("a layer that is larger than all waits until it is alone", async () => {
  const budget = new SpoolBudget(100);
  const small = await budget.take(1, never);
  const large = budget.take(1000, never);
  expect(await isFree(budget, 1), "nobody overtakes it").toBeUndefined();
  small.release();
  const room = await large;
  expect(room.bytes).toBe(1000);
  expect(await isFree(budget, 1)).toBeUndefined();
  room.release();
  room.release();
  expect(await isFree(budget, 100)).toBeDefined();
});

test("who waits no longer makes way for the next", async () => {
  const budget = new SpoolBudget(100);
  const first = await budget.take(50, never);
  const stop = new AbortController();
  const large = budget.take(90, stop.signal);
  const small = budget.take(50, never);
  stop.abort(new Error("enough"));
  await expect(large).rejects.toThrow("enough");
  expect((await small).bytes).toBe(50);
  first.release();
  await expect(budget.take(1, stop.signal)).rejects.toThrow("enough");
});

test("room that grows beyond the bytes is counted", async () => {
  const budget = new SpoolBudget(100);
  const first = await budget.take(10, never);
  first.resize(200);
  expect(await isFree(budget, 1)).toBeUndefined();
  first.resize(20);
  expect(await isFree(budget, 80)).toBeDefined();
});
