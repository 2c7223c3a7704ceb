import { describe, expect, it } from "vitest";

import { silentImagesLog } from "../../src/image/images-observer.ts";
import type { PlanImages } from "../../src/image/plan-images.ts";
import { ReadAhead } from "../../src/image/read-ahead.ts";
import { storeHash } from "../../src/nix/store-path.ts";
import type { ImageName, PathImageName } from "../../src/plan/image-name.ts";
import { pathOf } from "../resolver/fake-store.ts";
import { RecordingObserver } from "./store-fixture.ts";

const pathImage = (name: string, source = "main"): PathImageName => ({
  kind: "path",
  source,
  hash: storeHash(pathOf(name)),
  version: 1,
});

const store = (name: string): ImageName => ({
  kind: "store",
  source: "main",
  roots: [storeHash(pathOf(name))],
  version: 1,
  decision: "a",
  check: "0123456789abcdef",
});

/** A plan of images with these names, 10 bytes each. */
const planOf = (names: readonly string[], isCertain = true): PlanImages => ({
  images: names.map((name) => ({ name: pathImage(name), bytes: 10 })),
  isCertain,
});

/** All that can go on without what is outside has done so. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Read-ahead of plans by their first image; images are made when they are let go on. */
function readAheadOf(plans: Readonly<Record<string, PlanImages | Promise<PlanImages>>>, limit = 2) {
  const nameOf = new Map<string, string>();
  const label = ({ kind, ...name }: ImageName): string => {
    const hash = "hash" in name ? name.hash : "roots" in name ? name.roots[0]! : "";
    const source = "source" in name && name.source !== "main" ? `${name.source}:` : "";
    return source + (kind === "store" ? "store of " : "") + (nameOf.get(hash) ?? hash);
  };
  const state = {
    time: 0,
    room: Infinity,
    free: true,
    inStore: new Set<string>(),
    withStoreImage: new Set<string>(),
    found: [] as string[],
    begun: [] as string[],
    making: new Map<string, PromiseWithResolvers<void>>(),
  };
  const observer = new RecordingObserver();
  const closing = new AbortController();
  let wake = Promise.withResolvers<void>();
  const ahead = new ReadAhead({
    limit,
    observer,
    log: silentImagesLog,
    now: () => state.time,
    signal: closing.signal,
    work: {
      async find(first) {
        state.found.push(label(first));
        const plan = plans[label(first)];
        if (plan === undefined) throw new Error("no such plan");
        return plan;
      },
      async whenFree() {
        while (!state.free) await wake.promise;
      },
      async make(name) {
        state.begun.push(label(name));
        const made = Promise.withResolvers<void>();
        state.making.set(label(name), made);
        await made.promise;
        state.inStore.add(label(name));
      },
      use: (name) => state.inStore.has(label(name)),
      hasStoreImage: (root) => state.withStoreImage.has(label(root)),
      room: () => state.room,
    },
  });
  for (const name of "abcdefgh".split("")) nameOf.set(storeHash(pathOf(name)), name);
  return {
    ...state,
    state,
    observer,
    closing,
    setFree: (free: boolean): void => {
      state.free = free;
      wake.resolve();
      wake = Promise.withResolvers();
    },
    /** A client asks, and has its answer at once. */
    ask: async (name: ImageName): Promise<void> => {
      ahead.asked(name)();
      await turn();
    },
    /** A client asks, and waits until what is returned is called. */
    wait: async (name: ImageName): Promise<() => void> => {
      const answered = ahead.asked(name);
      await turn();
      return answered;
    },
    made: async (name: string): Promise<void> => {
      state.making.get(name)!.resolve();
      await turn();
    },
    failed: async (name: string): Promise<void> => {
      state.making.get(name)!.reject(new Error("broken"));
      await turn();
    },
  };
}

describe("the first request of a plan", () => {
  it("has all its images made in their order, so many at a time, each once", async () => {
    const { ask, begun, made, observer, found } = readAheadOf({ "store of a": planOf(["a", "b", "c", "d"]) });
    await ask(store("a"));
    expect(begun).toEqual(["a", "b"]);
    await made("b");
    expect(begun).toEqual(["a", "b", "c"]);
    await ask(pathImage("a"));
    await made("a");
    await made("c");
    await made("d");
    for (const name of ["b", "c", "d"]) await ask(pathImage(name));
    expect(begun).toEqual(["a", "b", "c", "d"]);
    expect(found).toEqual(["store of a"]);
    expect(observer.ahead).toEqual({ converted: 4, known: 0, failed: 0, dropped: 0 });
  });

  it("may be a root's, where there is no store image", async () => {
    const { ask, begun, found } = readAheadOf({ a: planOf(["a", "b", "c"]) });
    await ask(pathImage("a"));
    expect(begun).toEqual(["a", "b"]);
    await ask(pathImage("b"));
    expect(found).toEqual(["a"]);
  });

  it("has nothing made that only may belong to the plan", async () => {
    const { ask, begun, found } = readAheadOf({ a: planOf(["a", "b", "c"], false) });
    await ask(pathImage("a"));
    await ask(pathImage("b"));
    expect(begun).toEqual([]);
    expect(found).toEqual(["a"]);
  });

  it("is not taken for a root's where the store has that root's store image", async () => {
    const { ask, state, found } = readAheadOf({ a: planOf(["a", "b"]) });
    state.withStoreImage.add("a");
    await ask(pathImage("a"));
    expect(found).toEqual([]);
  });

  it("tells the plan also where the next image is asked for before the plan is known", async () => {
    const search = Promise.withResolvers<PlanImages>();
    const { ask, begun, found, made, state } = readAheadOf({ "store of a": search.promise });
    await ask(store("a"));
    await ask(pathImage("b"));
    state.inStore.add("b");
    await ask(pathImage("b", "other"));
    // Plans of another source do not concern it.
    expect(found).toEqual(["store of a", "other:b"]);
    search.resolve(planOf(["a", "b", "c"]));
    await turn();
    await made("a");
    await made("c");
    expect(found).toEqual(["store of a", "other:b"]);
    expect(begun).toEqual(["a", "c"]);
  });

  it("has nothing made that is asked for already, or there already", async () => {
    const { ask, wait, state, begun, observer } = readAheadOf({ "store of a": planOf(["a", "b", "c"]) });
    state.inStore.add("c");
    state.withStoreImage.add("b");
    await wait(pathImage("b"));
    await ask(store("a"));
    expect(begun).toEqual(["a"]);
    expect(observer.ahead).toMatchObject({ known: 1 });
  });
});

it("plans take turns", async () => {
  const { ask, begun, made, observer } = readAheadOf(
    { "store of a": planOf(["a", "b", "c"]), "store of d": planOf(["d", "b", "f"]) },
    1,
  );
  await ask(store("a"));
  await ask(store("d"));
  for (const name of ["a", "b", "d", "c"]) await made(name);
  // What both have is made once.
  expect(begun).toEqual(["a", "b", "d", "c", "f"]);
  expect(observer.ahead).toMatchObject({ converted: 4, known: 1 });
});

it("an image that fails is left to its client, and the others go on", async () => {
  const { ask, begun, failed, made, observer } = readAheadOf({ "store of a": planOf(["a", "b", "c"]) }, 1);
  await ask(store("a"));
  await failed("a");
  await made("b");
  await made("c");
  await ask(store("a"));
  expect(begun).toEqual(["a", "b", "c"]);
  expect(observer.ahead).toEqual({ converted: 2, known: 0, failed: 1, dropped: 0 });
});

it("a plan whose images cannot be found is nobody's failure, and may be found later", async () => {
  const plans: Record<string, PlanImages> = {};
  const { ask, begun } = readAheadOf(plans);
  await ask(store("a"));
  expect(begun).toEqual([]);
  plans["store of a"] = planOf(["a"]);
  await ask(store("a"));
  expect(begun).toEqual(["a"]);
});

it("clients go first: nothing is begun as long as they need all room", async () => {
  const { ask, begun, made, setFree } = readAheadOf({ "store of a": planOf(["a", "b"]) }, 1);
  await ask(store("a"));
  setFree(false);
  await made("a");
  expect(begun).toEqual(["a"]);
  setFree(true);
  await turn();
  expect(begun).toEqual(["a", "b"]);
});

describe("when nobody asks any more", () => {
  it("what has not begun is dropped, and what has begun ends", async () => {
    const { ask, begun, made, state, observer, found } = readAheadOf(
      { "store of a": planOf(["a", "b", "c"]) },
      1,
    );
    await ask(store("a"));
    state.time = 30_000;
    await made("a");
    expect(begun).toEqual(["a"]);
    expect(observer.ahead).toEqual({ converted: 1, known: 0, failed: 0, dropped: 2 });
    // A kubelet that comes back after a pause goes on with the same plan.
    state.time = 300_000;
    await ask(pathImage("b"));
    expect(begun).toEqual(["a", "c"]);
    expect(found).toEqual(["store of a"]);
  });

  it("a request that waits keeps its plan, however long", async () => {
    const { wait, begun, made, state } = readAheadOf({ "store of a": planOf(["a", "b", "c"]) }, 1);
    const answered = await wait(store("a"));
    state.time = 200_000;
    await made("a");
    expect(begun).toEqual(["a", "b"]);
    answered();
    state.time = 229_999;
    await made("b");
    expect(begun).toEqual(["a", "b", "c"]);
  });

  it("its names are forgotten after a while", async () => {
    const { ask, state, found } = readAheadOf({ a: planOf(["a", "b"]) });
    await ask(pathImage("a"));
    state.time = 599_999;
    await ask(pathImage("a"));
    expect(found).toEqual(["a"]);
    state.time = 2_000_000;
    await ask(pathImage("a"));
    expect(found).toEqual(["a", "a"]);
  });
});

it("no more is made than there is room for until it is asked for", async () => {
  const { ask, begun, made, state } = readAheadOf({ "store of a": planOf(["a", "b", "c", "d"]) });
  state.room = 25;
  await ask(store("a"));
  await made("a");
  await made("b");
  expect(begun).toEqual(["a", "b"]);
  await ask(pathImage("a"));
  expect(begun).toEqual(["a", "b", "c"]);
  // One that is over needs none of it.
  state.time = 30_000;
  await made("c");
  await ask(pathImage("d"));
  expect(begun).toEqual(["a", "b", "c"]);
});

it("begins nothing at its end", async () => {
  const { ask, begun, failed, closing, observer } = readAheadOf({ "store of a": planOf(["a", "b"]) }, 1);
  await ask(store("a"));
  closing.abort(new Error("the end"));
  await failed("a");
  await ask(store("a"));
  expect(begun).toEqual(["a"]);
  expect(observer.ahead.failed).toBe(0);
});

it("remembers a bounded number of plans, those under way first", async () => {
  const names = Array.from({ length: 33 }, (_, index) => `root-${index}`);
  const plans = Object.fromEntries(
    names.map((name) => [storeHash(pathOf(name)) as string, planOf([name, `${name}-library`])]),
  );
  const { ask, state, found } = readAheadOf(plans, 0);
  for (const name of names) await ask(pathImage(name));
  expect(found).toHaveLength(32);
  state.time = 30_000;
  await ask(pathImage(names[32]!));
  expect(found).toHaveLength(33);
});
