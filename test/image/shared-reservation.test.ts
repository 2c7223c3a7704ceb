import { expect, it } from "vitest";

import { BlobBudget } from "../../src/image/blob-budget.ts";
import { SharedReservation } from "../../src/image/shared-reservation.ts";
import { failureOf } from "../resolver/fixture.ts";

const never = new AbortController().signal;
const mebibyte = 2 ** 20;

async function shareOf(bytes: number, maxBytes: number) {
  const budget = new BlobBudget(maxBytes, async () => "empty");
  const whole = await budget.reserve(bytes, never);
  return { budget, whole, shared: new SharedReservation(whole) };
}

it("parts have no more than the whole, and take what is left over before it grows", async () => {
  const { budget, shared } = await shareOf(100, 1000);
  const [one, two] = [shared.part(30), shared.part(90)];
  expect([one.bytes, two.bytes]).toEqual([30, 70]);
  await one.growTo(30);
  expect(budget.reservedBytes).toBe(100);
  const spare = await shareOf(100, 1000);
  const part = spare.shared.part(30);
  await part.growTo(80);
  // The rest as well, for it would be asked for next.
  expect(part.bytes).toBe(100);
  expect(spare.budget.reservedBytes).toBe(100);
});

it("parts that grow at once grow the whole by what they need together", async () => {
  const { budget, whole, shared } = await shareOf(100, 10 * mebibyte);
  const parts = [shared.part(50), shared.part(50)];
  await Promise.all(parts.map(async (part) => part.growTo(2 * mebibyte)));
  for (const part of parts) expect(part.bytes).toBeGreaterThanOrEqual(2 * mebibyte);
  expect(parts[0]!.bytes + parts[1]!.bytes).toBeLessThanOrEqual(whole.bytes);
  expect(budget.reservedBytes).toBe(whole.bytes);
  expect(whole.bytes).toBeLessThan(6 * mebibyte);
});

it("a part that may not grow is refused, and the others can go on", async () => {
  const { shared } = await shareOf(100, 200);
  const [one, two] = [shared.part(50), shared.part(50)];
  expect((await failureOf(one.growTo(500))).code).toBe("BLOB_BUDGET_EXHAUSTED");
  await two.growTo(120);
  expect(two.bytes).toBeGreaterThanOrEqual(120);
  expect(one.bytes).toBe(50);
});
