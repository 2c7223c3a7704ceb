import { getEventListeners } from "node:events";
import { describe, expect, onTestFinished, test } from "vitest";
import { Flights, unlessAborted } from "../../src/resolver/flights.ts";
import { createResolver } from "../../src/resolver/resolver.ts";
import { mapBounded, mapInSlots, Slots } from "../../src/resolver/slots.ts";
import { CacheServer } from "./cache-server.ts";
import { cacheFiles, pathOf } from "./fake-store.ts";
import { noLimits, until, warmUp } from "./fixture.ts";

describe("slots", () => {
  test("let so many run at a time, the others in their order, whatever fails", async () => {
    const slots = new Slots(2);
    const order: number[] = [];
    const gates = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
    const runs = gates.map(({ promise }, index) =>
      slots.run(async () => {
        order.push(index);
        await promise;
        if (index % 2 === 0) throw new Error(`failure ${index}`);
      }),
    );
    const settled = Promise.allSettled(runs);
    expect(order).toEqual([0, 1]);
    gates[1]!.resolve();
    await until(() => order.length === 3);
    expect(order).toEqual([0, 1, 2]);
    for (const gate of gates) gate.resolve();
    expect((await settled).map(({ status }) => status === "fulfilled")).toEqual([
      false,
      true,
      false,
      true,
      false,
    ]);
    expect(order).toEqual([0, 1, 2, 3, 4]);
    await slots.run(async () => undefined);
  });

  test("have room for what is not urgent when nobody else waits", async () => {
    const slots = new Slots(1);
    await slots.whenFree();
    const order: string[] = [];
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const runs = gates.map(({ promise }) => slots.run(async () => promise));
    const patient = [1, 2].map(async (number) => {
      await slots.whenFree();
      // The second one sees that the first one has taken the room.
      await slots.run(async () => void order.push(`patient ${number}`));
    });
    gates[0]!.resolve();
    await runs[0];
    await new Promise<void>((resolve) => setImmediate(resolve));
    expect(order).toEqual([]);
    gates[1]!.resolve();
    await Promise.all(patient);
    expect(order).toEqual(["patient 1", "patient 2"]);
  });

  test("do the parts of one piece of work in its own and in free ones, behind what came before", async () => {
    const slots = new Slots(2);
    const order: string[] = [];
    const gates = new Map<string, PromiseWithResolvers<void>>();
    const work = async (name: string): Promise<string> => {
      order.push(name);
      const gate = Promise.withResolvers<void>();
      gates.set(name, gate);
      await gate.promise;
      return name;
    };
    const finish = async (name: string): Promise<void> => {
      gates.get(name)!.resolve();
      await new Promise<void>((resolve) => setImmediate(resolve));
    };
    const all = slots.run(async () => mapInSlots(["a", "b", "c", "d"], { slots, others: 1 }, work));
    const other = slots.run(async () => work("other"));
    let isFree = false;
    const free = slots.whenFree().then(() => (isFree = true));
    expect(order).toEqual(["a", "b"]);
    await finish("a");
    await finish("b");
    await finish("other");
    await finish("c");
    expect(order).toEqual(["a", "b", "other", "c", "d"]);
    expect(isFree).toBe(false);
    await finish("d");
    expect(await all).toEqual(["a", "b", "c", "d"]);
    await Promise.all([other, free]);
  });

  test("end the parts of work of which one has failed, and let the next come", async () => {
    const slots = new Slots(2);
    const begun: number[] = [];
    const ended: number[] = [];
    const failing = slots.run(async () =>
      mapInSlots([0, 1, 2, 3], { slots, others: 1 }, async (item, signal) => {
        begun.push(item);
        if (item === 1) throw new Error("failure");
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        ended.push(item);
      }),
    );
    await expect(failing).rejects.toThrow("failure");
    expect(new Set(begun)).toEqual(new Set([0, 1]));
    expect(ended).toEqual([0]);
    await Promise.all([slots.run(async () => undefined), slots.run(async () => undefined)]);
  });

  test("hold for all walks of a resolver together", async () => {
    const held: (() => void)[] = [];
    const sources = await Promise.all(
      Array.from({ length: 5 }, async (_, index) => {
        const leaves = Array.from(
          { length: 64 },
          (__, leaf) => [pathOf(`leaf-${index}-${leaf}`), {}] as const,
        );
        const root = pathOf(`root-${index}`);
        const references = leaves.map(([leaf]) => leaf);
        const files = cacheFiles([[root, { references }], ...leaves]);
        const server = await CacheServer.start(files);
        for (const [leaf] of leaves) {
          const name = `${leaf.slice("/nix/store/".length, "/nix/store/".length + 32)}.narinfo`;
          server.answer(name, (response) => held.push(() => response.end(files.get(name))));
        }
        return { name: `s${index}`, server, root };
      }),
    );
    const { publicKey } = (await import("./fake-store.ts")).signer;
    const resolver = createResolver({
      sources: sources.map(({ name, server }) => ({ name, caches: [server.url], publicKeys: [publicKey] })),
      limits: noLimits,
    });
    onTestFinished(() => resolver.close());
    await Promise.all(sources.map(async ({ name }) => warmUp(resolver, name)));
    const closures = Promise.all(sources.map(({ name, root }) => resolver.resolve(name, [root])));
    await until(() => held.length === 256);
    for (let answered = 0; answered < 320; answered++) {
      await until(() => held.length > 0);
      expect(held.length).toBeLessThanOrEqual(256);
      held.shift()?.();
    }
    expect((await closures).map(({ paths }) => paths.length)).toEqual([65, 65, 65, 65, 65]);
  });
});

describe("mapBounded", () => {
  test("keeps the order, and the bound", async () => {
    let [running, most] = [0, 0];
    const doubled = await mapBounded([5, 1, 4, 2, 3], 2, async (item) => {
      most = Math.max(most, ++running);
      for (let turn = 0; turn < item; turn++) await Promise.resolve();
      running--;
      return item * 2;
    });
    expect(doubled).toEqual([10, 2, 8, 4, 6]);
    expect(most).toBe(2);
    expect(await mapBounded([], 2, async (item) => item)).toEqual([]);
  });

  test("takes nothing new after a failure", async () => {
    const taken: number[] = [];
    const run = mapBounded([1, 2, 3, 4, 5, 6], 2, async (item) => {
      taken.push(item);
      await Promise.resolve();
      if (item === 2) throw new Error("two");
    });
    await expect(run).rejects.toThrow("two");
    expect(taken.length).toBeLessThan(6);
  });
});

test("flights of one key share the outcome, and only as long as they are under way", async () => {
  const flights = new Flights<number>();
  let started = 0;
  const work = async (): Promise<number> => ++started;
  expect(await Promise.all([flights.run("a", work), flights.run("a", work), flights.run("b", work)])).toEqual(
    [1, 1, 2],
  );
  expect(await flights.run("a", work)).toBe(3);
});

describe("unlessAborted", () => {
  const gone = (): Error => new Error("gone");

  test("gives what the promise gives, and leaves nothing on the signal", async () => {
    const { signal } = new AbortController();
    expect(await unlessAborted(Promise.resolve(1), signal, gone)).toBe(1);
    await expect(unlessAborted(Promise.reject(new Error("no")), signal, gone)).rejects.toThrow("no");
    expect(getEventListeners(signal, "abort")).toEqual([]);
    expect(await unlessAborted(Promise.resolve(2), undefined, gone)).toBe(2);
  });

  test("rejects when the signal aborts first", async () => {
    const controller = new AbortController();
    const waiting = unlessAborted(new Promise(() => undefined), controller.signal, gone);
    controller.abort();
    await expect(waiting).rejects.toThrow("gone");
    await expect(unlessAborted(Promise.resolve(1), controller.signal, gone)).rejects.toThrow("gone");
  });
});
