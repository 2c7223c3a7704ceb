import { Readable } from "node:stream";

import { describe, expect, it } from "vitest";

import type { LayerPart } from "../../src/image/layer.ts";
import { NarsAhead } from "../../src/image/nars-ahead.ts";
import type { NarHash } from "../../src/nix/hash.ts";
import type { NarLocation } from "../../src/resolver/nar-location.ts";
import { pathOf } from "../resolver/fake-store.ts";
import { until } from "../resolver/fixture.ts";

/** A part with locations in these caches. */
function part(name: string, narSize = 100, caches: readonly string[] = ["first"]): LayerPart {
  const storePath = pathOf(name);
  const locations = caches.map((cache): NarLocation => ({
    cache,
    url: `http://${cache}/${name}`,
    storePath,
    compression: "none",
    narHash: "" as NarHash,
    narSize,
  }));
  return { name, storePath, locations, contentAddresses: [] };
}

const numbered = (count: number, narSize?: number): LayerPart[] =>
  Array.from({ length: count }, (_, index) => part(`part-${index}`, narSize));

/** Opens NARs only when it is told to; its clock stands still. */
function narsOf(parts: readonly LayerPart[]) {
  const asked: string[] = [];
  const openings = new Map<string, PromiseWithResolvers<Readable>>();
  const ended: string[] = [];
  const clock = { time: 0, late: [] as (() => void)[] };
  const abort = new AbortController();
  const ahead = new NarsAhead(parts, {
    async open({ url }, signal) {
      asked.push(url);
      const opening = Promise.withResolvers<Readable>();
      openings.set(url, opening);
      signal.addEventListener("abort", () => {
        ended.push(url);
        opening.reject(signal.reason as Error);
      });
      return opening.promise;
    },
    signal: abort.signal,
    clock: {
      now: () => clock.time,
      sleep: async (_, signal) => {
        const late = Promise.withResolvers<void>();
        clock.late.push(late.resolve);
        signal.addEventListener("abort", () => late.reject(signal.reason as Error));
        return late.promise;
      },
    },
  });
  const stream = (name: string, cache = "first"): Readable => {
    const opened = new Readable({ read: () => undefined });
    openings.get(`http://${cache}/${name}`)!.resolve(opened);
    return opened;
  };
  return { ahead, asked, openings, ended, clock, abort, stream };
}

describe("the NARs of a layer", () => {
  it("are opened some parts ahead, in their order, each once", async () => {
    const parts = numbered(40);
    const { ahead, asked, stream } = narsOf(parts);
    let mostAhead = 0;
    for (const [index, { name }] of parts.entries()) {
      const [attempt, ...others] = ahead.attempts(parts[index]!);
      expect(others).toEqual([]);
      mostAhead = Math.max(mostAhead, asked.length - index - 1);
      const opened = stream(name);
      expect(await attempt!.open()).toBe(opened);
    }
    expect(asked).toEqual(parts.map(({ name }) => `http://first/${name}`));
    expect(mostAhead).toBe(16);
  });

  it("are opened two ahead if they are large", () => {
    const parts = [...numbered(5, 2 ** 20), part("small")];
    const { ahead, asked } = narsOf(parts);
    for (const [index, one] of parts.entries()) {
      ahead.attempts(one);
      expect(asked.length).toBe(Math.min(parts.length, index + 3 + (index >= 2 ? 1 : 0)));
    }
  });

  it("fail when their turn has come, and then come from the next cache", async () => {
    const parts = [part("a"), part("b", 100, ["first", "second"]), part("c")];
    const { ahead, asked, openings, stream } = narsOf(parts);
    const [a] = ahead.attempts(parts[0]!);
    openings.get("http://first/b")!.reject(new Error("b is gone"));
    stream("a");
    await a!.open();
    const [early, next, ...others] = ahead.attempts(parts[1]!);
    expect(others).toEqual([]);
    await expect(early!.open()).rejects.toThrow("b is gone");
    const opened = next!.open();
    expect(asked.at(-1)).toBe("http://second/b");
    const second = stream("b", "second");
    expect(await opened).toBe(second);
  });

  it("are opened a second time if the first was long ago", async () => {
    const parts = [part("a"), part("b"), part("c")];
    const { ahead, asked, clock, stream } = narsOf(parts);
    ahead.attempts(parts[0]!);
    const opened = stream("b");
    // In the next turn of the event loop all have heard that it is open.
    await new Promise<void>((resolve) => setImmediate(resolve));
    clock.time = 5_001;
    const attempts = ahead.attempts(parts[1]!);
    expect(attempts.map(({ location }) => location.cache)).toEqual(["first", "first"]);
    expect(await attempts[0]!.open()).toBe(opened);
    void attempts[1]!.open();
    expect(asked.filter((url) => url === "http://first/b")).toHaveLength(2);
    // It was not open, so it has waited for nobody.
    expect(ahead.attempts(parts[2]!)).toHaveLength(1);
  });

  it("are given up for one whose turn has come and that they may hold up", async () => {
    const parts = numbered(5);
    const { ahead, asked, ended, clock, stream } = narsOf(parts);
    const [first] = ahead.attempts(parts[0]!);
    const waiting = first!.open();
    const unread = stream("part-3");
    clock.late[0]!();
    await until(() => unread.destroyed);
    expect(ended).toEqual(["part-1", "part-2", "part-3", "part-4"].map((name) => `http://first/${name}`));
    const opened = stream("part-0");
    expect(await waiting).toBe(opened);
    // From here on one after the other.
    const [second] = ahead.attempts(parts[1]!);
    void second!.open();
    expect(asked.slice(5)).toEqual(["http://first/part-1"]);
  });

  it("are all closed at the end, but for those that were taken", async () => {
    const parts = numbered(4);
    const { ahead, ended, stream } = narsOf(parts);
    const [first] = ahead.attempts(parts[0]!);
    const [taken, unread] = [stream("part-0"), stream("part-1")];
    await first!.open();
    ahead.close();
    await until(() => unread.destroyed);
    expect(taken.destroyed).toBe(false);
    expect(ended).toEqual(["part-1", "part-2", "part-3"].map((name) => `http://first/${name}`));
  });

  it("end with the signal", async () => {
    const parts = numbered(3);
    const { ahead, abort, ended } = narsOf(parts);
    const [first] = ahead.attempts(parts[0]!);
    abort.abort(new Error("no longer wanted"));
    await expect(first!.open()).rejects.toThrow("no longer wanted");
    expect(ended).toHaveLength(3);
  });
});
