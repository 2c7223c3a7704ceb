import { expect, it } from "vitest";

import { UseClock } from "../../src/image/use-clock.ts";
import { temporaryDirectory } from "../resolver/fixture.ts";
import { addImage, namesIn, openStore } from "./store-fixture.ts";

it("tells the time, and goes on where the clock goes back", () => {
  let now = 1_000;
  const clock = new UseClock(() => now);
  expect(clock.next()).toEqual(new Date(1_000));
  now = 2_000;
  expect(clock.next()).toEqual(new Date(2_000));
  now = 500;
  expect(clock.next()).toEqual(new Date(2_001));
  expect(clock.next()).toEqual(new Date(2_002));
  now = 3_000;
  expect(clock.next()).toEqual(new Date(3_000));
});

it("goes on after a use of an earlier run, and stays within what file systems keep", () => {
  const clock = new UseClock(() => 1_000);
  clock.startAfter(5_000);
  expect(clock.next()).toEqual(new Date(5_001));
  for (const last of [1e18, Infinity]) {
    clock.startAfter(last);
    expect(clock.next().getUTCFullYear()).toBe(2400);
    expect(clock.next().getUTCFullYear()).toBe(2400);
  }
});

it("of a store keeps the order of uses over restarts although the clock jumps back by years", async () => {
  const directory = await temporaryDirectory();
  let now = Date.UTC(2040, 0);
  const first = await openStore(directory, { maxBytes: 100, now: () => now });
  for (const name of ["a", "b", "c"]) await addImage(first, name, 30);
  now = Date.UTC(2020, 0);
  await first.touch(first.catalog.get("main/path/a", "1")!);
  await first.close();
  const second = await openStore(directory, { maxBytes: 100, now: () => now });
  await addImage(second, "d", 30);
  expect(namesIn(second, ["a", "b", "c", "d"])).toEqual(["a", "c", "d"]);
  await second.close();
  const third = await openStore(directory, { maxBytes: 100, now: () => now });
  await addImage(third, "e", 30);
  expect(namesIn(third, ["a", "b", "c", "d", "e"])).toEqual(["a", "d", "e"]);
});
