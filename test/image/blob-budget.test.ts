import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { BlobBudget, type Eviction, type Reservation } from "../../src/image/blob-budget.ts";
import { failureOf, until } from "../resolver/fixture.ts";

const never = new AbortController().signal;

/** A budget over blobs of these sizes, the first to be evicted first; those in use stay. */
function budgetOver(maxBytes: number, sizes: readonly number[] = []) {
  const blobs = sizes.map((size) => ({ size, inUse: false }));
  const evict = async (): Promise<Eviction> => {
    await Promise.resolve();
    if (blobs.length === 0) return "empty";
    const index = blobs.findIndex(({ inUse }) => !inUse);
    if (index === -1) return "in use";
    const [blob] = blobs.splice(index, 1);
    budget.removeBlob(blob?.size ?? 0);
    return "evicted";
  };
  const budget = new BlobBudget(maxBytes, evict);
  for (const size of sizes) budget.addBlob(size);
  return { budget, blobs };
}

/** How far a promise is, after all that is under way has had its turn. */
async function stateOf(promise: Promise<unknown>): Promise<"waiting" | "done" | "refused"> {
  let state: "waiting" | "done" | "refused" = "waiting";
  promise.then(
    () => (state = "done"),
    () => (state = "refused"),
  );
  for (let turn = 0; turn < 20; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
  return state;
}

describe("a reservation", () => {
  it("is made at once where there is room, and gives back what it did not need", async () => {
    const { budget } = budgetOver(100);
    const reservation = await budget.reserve(60, never);
    expect(budget.usedBytes).toBe(60);
    reservation.settle(45);
    expect(budget.usedBytes).toBe(45);
    reservation.release();
    expect(budget.usedBytes).toBe(45);
  });

  it("evicts no more than it needs, in order", async () => {
    const { budget, blobs } = budgetOver(100, [10, 20, 30, 40]);
    await budget.reserve(25, never);
    expect(blobs.map(({ size }) => size)).toEqual([30, 40]);
    expect(budget.usedBytes).toBe(95);
  });

  it("waits while blobs are in use, and goes on when one is not", async () => {
    const { budget, blobs } = budgetOver(100, [50, 50]);
    for (const blob of blobs) blob.inUse = true;
    const reservation = budget.reserve(30, never);
    expect(await stateOf(reservation)).toBe("waiting");
    expect(budget.usedBytes).toBe(100);
    blobs[1]!.inUse = false;
    budget.retry();
    expect((await reservation).bytes).toBe(30);
    expect(blobs).toHaveLength(1);
  });

  it("is made in the order of asking, also when a later one would fit", async () => {
    const { budget } = budgetOver(100);
    const first = await budget.reserve(70, never);
    const large = budget.reserve(90, never);
    const small = budget.reserve(10, never);
    expect(await stateOf(small)).toBe("waiting");
    first.release();
    await large;
    await small;
    expect(budget.usedBytes).toBe(100);
  });

  it("of more than the whole store is refused at once, with both figures", async () => {
    const { budget, blobs } = budgetOver(2 ** 20, [1000]);
    const error = await failureOf(budget.reserve(3 * 2 ** 20, never));
    expect(error.code).toBe("BLOB_BUDGET_EXHAUSTED");
    expect(error.message).toMatch(/3.*MiB.*1.*MiB/);
    expect(blobs).toHaveLength(1);
  });

  it("that is no longer wanted lets the next one through", async () => {
    const { budget } = budgetOver(100);
    await budget.reserve(60, never);
    const abort = new AbortController();
    const large = budget.reserve(90, abort.signal);
    const small = budget.reserve(10, never);
    expect(await stateOf(small)).toBe("waiting");
    abort.abort(new Error("not wanted"));
    await expect(large).rejects.toThrow("not wanted");
    await small;
    await expect(budget.reserve(1, abort.signal)).rejects.toThrow("not wanted");
  });

  it("hears of it when a blob cannot be removed, and the next one has its turn", async () => {
    let isBroken = true;
    const budget: BlobBudget = new BlobBudget(100, async () => {
      if (isBroken) throw new Error("disk is broken");
      budget.removeBlob(100);
      return "evicted";
    });
    budget.addBlob(100);
    const first = budget.reserve(10, never);
    await expect(first).rejects.toThrow("disk is broken");
    isBroken = false;
    await budget.reserve(10, never);
  });
});

describe("a reservation that grows", () => {
  it("comes before those that are not made yet", async () => {
    const { budget, blobs } = budgetOver(100, [50]);
    blobs[0]!.inUse = true;
    const reservation = await budget.reserve(40, never);
    const waiting = budget.reserve(30, never);
    const grown = reservation.growTo(60);
    expect(await stateOf(grown)).toBe("waiting");
    blobs[0]!.inUse = false;
    budget.retry();
    await grown;
    expect(reservation.bytes).toBe(60);
    await waiting;
    expect(budget.usedBytes).toBe(90);
  });

  it("takes more than it asks for only if that is free", async () => {
    const megabyte = 2 ** 20;
    const { budget } = budgetOver(3 * megabyte);
    const reservation = await budget.reserve(megabyte, never);
    await reservation.growTo(megabyte + 1);
    expect(reservation.bytes).toBe(2 * megabyte);
    await reservation.growTo(2 * megabyte + 10);
    expect(reservation.bytes).toBe(3 * megabyte);
    await budget.reserve(0, never);
    expect((await failureOf(reservation.growTo(3 * megabyte + 1))).code).toBe("BLOB_BUDGET_EXHAUSTED");
  });

  it("waits for another that will end", async () => {
    const { budget } = budgetOver(100);
    const first = await budget.reserve(50, never);
    const second = await budget.reserve(50, never);
    const grown = second.growTo(60);
    expect(await stateOf(grown)).toBe("waiting");
    first.settle(20);
    await grown;
    expect(budget.usedBytes).toBe(80);
  });

  it("no longer waits when it has ended", async () => {
    const { budget } = budgetOver(100);
    const first = await budget.reserve(50, never);
    const second = await budget.reserve(50, never);
    const grown = second.growTo(60);
    expect(await stateOf(grown)).toBe("waiting");
    second.release();
    await expect(grown).rejects.toThrow("ended");
    first.release();
    expect(budget.usedBytes).toBe(0);
    expect((await budget.reserve(100, never)).bytes).toBe(100);
  });

  it("is refused if all wait for each other: the youngest, so that the others go on", async () => {
    const { budget } = budgetOver(100);
    const first = await budget.reserve(50, never);
    const second = await budget.reserve(50, never);
    const firstGrown = first.growTo(60);
    const secondGrown = second.growTo(60);
    expect((await failureOf(secondGrown)).code).toBe("BLOB_BUDGET_EXHAUSTED");
    second.release();
    await firstGrown;
  });
});

it("is never exceeded, and everybody is served, whatever is asked for in which order", async () => {
  const job = fc.record({
    first: fc.integer({ min: 1, max: 60 }),
    growth: fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 3 }),
    size: fc.integer({ min: 1, max: 40 }),
    read: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(job, { minLength: 1, maxLength: 12 }),
      fc.scheduler(),
      async (jobs, scheduler) => {
        const { budget, blobs } = budgetOver(100, [30, 30, 30]);
        const within = (): void => expect(budget.usedBytes).toBeLessThanOrEqual(100);
        let over = 0;
        const run = async ({ first, growth, size, read }: (typeof jobs)[number]): Promise<void> => {
          const reservation: Reservation = await budget.reserve(first, never);
          within();
          try {
            for (const step of growth) {
              await scheduler.schedule(Promise.resolve());
              await reservation.growTo(Math.min(100, reservation.bytes + step));
              within();
            }
            const written = Math.min(size, reservation.bytes);
            reservation.settle(written);
            const blob = { size: written, inUse: read };
            blobs.push(blob);
            await scheduler.schedule(Promise.resolve());
            blob.inUse = false;
            budget.retry();
          } catch (error) {
            expect(error).toMatchObject({ code: "BLOB_BUDGET_EXHAUSTED" });
          } finally {
            reservation.release();
            within();
          }
        };
        for (const one of jobs) void run(one).finally(() => over++);
        await until(() => {
          if (scheduler.count() > 0) void scheduler.waitOne();
          return over === jobs.length;
        });
        expect(budget.usedBytes).toBe(blobs.reduce((total, { size }) => total + size, 0));
      },
    ),
    { numRuns: 200 },
  );
});
