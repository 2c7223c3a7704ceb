import { describe, expect, test } from "vitest";
import { Window, type Turn } from "../../src/resolver/window.ts";
import { TestClock } from "./test-clock.ts";

/** Asks for so much at once, of a cache that answers all, and keeps its connections or does not. */
async function ask(window: Window, requests: number, { keeps = true } = {}): Promise<void> {
  let [active, connections] = [0, 0];
  const all = Array.from({ length: requests }, async () => {
    using turn = await window.turn();
    active++;
    if (!keeps || active > connections) {
      connections++;
      window.connected();
    }
    await new Promise<void>((resolve) => setImmediate(resolve));
    turn.answered();
    active--;
  });
  await Promise.all(all);
}

/** A window at its full size. */
async function opened(clock = new TestClock()): Promise<Window> {
  const window = new Window(clock);
  await ask(window, 300);
  expect(window.size).toBe(64);
  return window;
}

describe("a window", () => {
  test("lets six in at first, and the others in their order", async () => {
    const window = new Window(new TestClock());
    const order: number[] = [];
    const turns: Turn[] = [];
    const all = Array.from({ length: 8 }, async (_, index) => {
      const turn = await window.turn();
      order.push(index);
      turns.push(turn);
    });
    await Promise.all(all.slice(0, 6));
    expect(order).toEqual([0, 1, 2, 3, 4, 5]);
    for (const turn of turns.slice(0, 2)) turn[Symbol.dispose]();
    await Promise.all(all);
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    for (const turn of turns) turn[Symbol.dispose]();
  });

  test("is wide open soon with a cache that keeps its connections", async () => {
    const window = new Window(new TestClock());
    await ask(window, 150);
    expect(window.size).toBe(64);
  });

  test("opens slowly with a cache that makes a new connection for each answer", async () => {
    const window = new Window(new TestClock());
    await ask(window, 150, { keeps: false });
    expect(window.size).toBeGreaterThan(6);
    expect(window.size).toBeLessThan(12);
  });

  test("does not open by answers that leave room", async () => {
    const window = new Window(new TestClock());
    for (let answers = 0; answers < 100; answers++) {
      using turn = await window.turn();
      turn.answered();
    }
    expect(window.size).toBe(6);
  });

  test("is halved by a lost connection, once for all that were begun before", async () => {
    const clock = new TestClock();
    const window = await opened(clock);
    for (let lost = 0; lost < 10; lost++) window.lost(950);
    expect(window.size).toBe(32);
    clock.advance(1000);
    window.lost(950);
    expect(window.size).toBe(16);
    await ask(window, 60);
    expect(window.size).toBe(16);
    for (let halvings = 0; halvings < 5; halvings++) {
      clock.advance(1000);
      window.lost(950);
    }
    expect(window.size).toBe(4);
  });

  test("is halved by a failure only while the cache answers others", async () => {
    const window = await opened();
    const gone = await window.turn();
    gone.unreachable();
    gone[Symbol.dispose]();
    expect(window.size).toBe(64);
    const [overrun, other] = [await window.turn(), await window.turn()];
    other.answered();
    overrun.unreachable();
    expect(window.size).toBe(32);
    for (const turn of [overrun, other]) turn[Symbol.dispose]();
  });

  test("does not wait for what hangs", async () => {
    const window = new Window(new TestClock());
    const hung = await Promise.all(Array.from({ length: 6 }, async () => window.turn()));
    (await window.turn())[Symbol.dispose]();
    for (const turn of hung) turn[Symbol.dispose]();
    // Their places were given back already: there are six, not twelve.
    const again = await Promise.all(Array.from({ length: 6 }, async () => window.turn()));
    const next = await Promise.race([window.turn().then(() => "let in"), Promise.resolve("waits")]);
    expect(next).toBe("waits");
    for (const turn of again) turn[Symbol.dispose]();
  });
});
