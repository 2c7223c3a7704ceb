import { expect, it, onTestFinished, vi } from "vitest";

import { Leases } from "../../src/image/leases.ts";
import { mediaTypes } from "../../src/oci/documents.ts";
import { temporaryDirectory, until } from "../resolver/fixture.ts";
import { addImage, lowestOf, namesIn, openStore, readAll, readLayer } from "./store-fixture.ts";

const never = new AbortController().signal;

it("keep a thing until all clients have come for it", () => {
  const leases = new Leases<string>(60_000);
  const release = vi.fn();
  leases.begin("a", () => release);
  leases.begin("a", () => expect.unreachable("it is held already"));
  leases.serve("a");
  leases.serve("b");
  expect(release).not.toHaveBeenCalled();
  leases.serve("a");
  expect(release).toHaveBeenCalledOnce();
  leases.serve("a");
  leases.end("a");
  leases.endAll();
  expect(release).toHaveBeenCalledOnce();
});

it("end by themselves, and more clients do not make them longer", () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const leases = new Leases<string>(1_000);
  const release = vi.fn();
  leases.begin("a", () => release);
  vi.advanceTimersByTime(900);
  leases.begin("a", () => expect.unreachable("it is held already"));
  expect(release).not.toHaveBeenCalled();
  vi.advanceTimersByTime(100);
  expect(release).toHaveBeenCalledOnce();
  leases.begin("a", () => release);
  leases.endAll();
  expect(release).toHaveBeenCalledTimes(2);
});

it("of a store are in the way of an eviction until the blob was read to its end", async () => {
  const store = await openStore(await temporaryDirectory(), { maxBytes: 100 });
  const a = await addImage(store, "a", 60);
  store.lease(lowestOf(a).digest);
  let isGranted = false;
  const waiting = store.budget.reserve(60, never).then((reservation) => {
    isGranted = true;
    return reservation;
  });
  const part = await store.open(lowestOf(a).digest, mediaTypes.layerTar);
  await readAll(part!, { start: 0, end: 10 });
  await part!.close();
  const turns = Promise.withResolvers<void>();
  setTimeout(turns.resolve, 20);
  await turns.promise;
  expect(isGranted).toBe(false);
  expect(namesIn(store, ["a"])).toEqual(["a"]);
  await readLayer(store, a);
  await until(() => isGranted);
  expect(namesIn(store, ["a"])).toEqual([]);
  (await waiting).release();
});
