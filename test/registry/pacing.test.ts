import { describe, expect, test } from "vitest";

import type { KubeletLimits } from "../../src/plan/budget.ts";
import { Pacing } from "../../src/registry/pacing.ts";
import type { Clock } from "../../src/resolver/clock.ts";

const never = new AbortController().signal;
const stock = { registryPullQPS: 5, registryBurst: 10 };
const loopback = "127.0.0.1";
const made = Promise.resolve();

/** A clock whose time goes on from one sleeper's end to the next one's, as long as there are any. */
class SimulatedClock implements Clock {
  #now = 0;
  #sleepers: { readonly at: number; readonly wake: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  random(): number {
    return 0;
  }

  async sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await new Promise<void>((wake, reject) => {
      this.#sleepers.push({ at: this.#now + milliseconds, wake });
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  }

  /** Lets time go on until the work has ended. */
  async run<T>(work: Promise<T>): Promise<T> {
    let ended = false;
    const result = work.finally(() => (ended = true));
    result.catch(() => undefined);
    for (;;) {
      // Everything that can go on without time does so first.
      await new Promise((resolve) => setImmediate(resolve));
      if (ended) return result;
      this.#sleepers.sort((a, b) => a.at - b.at);
      const next = this.#sleepers.shift();
      if (next === undefined) throw new Error("all wait for ever");
      this.#now = Math.max(this.#now, next.at);
      next.wake();
    }
  }
}

/** The limiter of a kubelet: k8s.io/client-go/util/flowcontrol, NewTokenBucketRateLimiter. */
class Kubelet {
  readonly #clock: Clock;
  readonly #limits: KubeletLimits;
  #tokens: number;
  #updated = 0;
  failures = 0;

  constructor(clock: Clock, limits: KubeletLimits) {
    this.#clock = clock;
    this.#limits = limits;
    this.#tokens = limits.registryBurst;
  }

  /** Begins a pull, of whatever registry; one that fails is begun again later. */
  async begin(): Promise<void> {
    while (!this.#accepts()) {
      this.failures++;
      await this.#clock.sleep(10_000, never);
    }
  }

  #accepts(): boolean {
    const { registryPullQPS, registryBurst } = this.#limits;
    const now = this.#clock.now();
    const came = ((now - this.#updated) / 1000) * registryPullQPS;
    this.#tokens = Math.min(registryBurst, this.#tokens + came);
    this.#updated = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}

interface Setup {
  readonly clock: SimulatedClock;
  readonly pacing: Pacing;
  readonly kubelet: Kubelet;
  /** Pulls images of ours, one after the other, each in so many milliseconds; the seconds that it took. */
  readonly pull: (images: number, milliseconds: number) => Promise<number>;
}

async function setUp(limits: KubeletLimits, idle = 60_000): Promise<Setup> {
  const clock = new SimulatedClock();
  const pacing = new Pacing(() => limits, clock);
  const kubelet = new Kubelet(clock, limits);
  const pull = async (images: number, milliseconds: number): Promise<number> => {
    const start = clock.now();
    for (let image = 0; image < images; image++) {
      await kubelet.begin();
      await pacing.hold(loopback, clock.sleep(milliseconds / 2, never), never);
      await clock.sleep(milliseconds / 2, never);
    }
    return (clock.now() - start) / 1000;
  };
  await clock.run(clock.sleep(idle, never));
  return { clock, pacing, kubelet, pull };
}

describe("a kubelet that pulls one image after the other", () => {
  test.for([
    [50, 5],
    [50, 45],
    [150, 45],
    [400, 45],
    [150, 1000],
  ] as const)("has no failure with %i images of %i ms each", async ([images, milliseconds]) => {
    const { clock, kubelet, pull } = await setUp(stock);
    const seconds = await clock.run(pull(images, milliseconds));
    expect(kubelet.failures).toBe(0);
    expect(seconds).toBeLessThan(((images - 10) / 5 + (images * milliseconds) / 1000) * 1.15 + 1);
  });

  test("is not held within its burst, less two", async () => {
    const { clock, pull } = await setUp(stock);
    expect(await clock.run(pull(8, 5))).toBeCloseTo(0.04);
    expect(await clock.run(pull(1, 5))).toBeGreaterThan(0.1);
  });

  test("has no failure where other registries' pulls come in between", async () => {
    const { clock, kubelet, pull } = await setUp(stock);
    const others = async (): Promise<void> => {
      for (let pulls = 0; pulls < 8; pulls++) {
        await kubelet.begin();
        await clock.sleep(6000, never);
      }
    };
    await clock.run(Promise.all([pull(200, 20), others()]));
    expect(kubelet.failures).toBe(0);
  });

  test("has no failure when the registry was started in between", async () => {
    const { clock, kubelet, pull } = await setUp(stock);
    await clock.run(pull(30, 20));
    const restarted = new Pacing(() => stock, clock);
    const more = async (): Promise<void> => {
      for (let image = 0; image < 30; image++) {
        await kubelet.begin();
        await restarted.hold(loopback, made, never);
      }
    };
    await clock.run(more());
    expect(kubelet.failures).toBe(0);
  });
});

test.for([
  [1, 1],
  [1, 10],
  [5, 1],
  [20, 40],
  [0.5, 3],
] as const)("%d pulls a second with a burst of %i are kept", async ([registryPullQPS, registryBurst]) => {
  const { clock, kubelet, pull } = await setUp({ registryPullQPS, registryBurst });
  await clock.run(pull(60, 10));
  expect(kubelet.failures).toBe(0);
});

test.for([2, 5])("a kubelet that pulls for %i Pods at a time has no failure", async (pods) => {
  const { clock, kubelet, pull } = await setUp(stock);
  await clock.run(Promise.all(Array.from({ length: pods }, async () => pull(20, 30))));
  expect(kubelet.failures).toBe(0);
});

test("a kubelet that pulls for ten Pods at a time has failures only before this is known", async () => {
  const { clock, kubelet, pull } = await setUp(stock);
  const pods = async (): Promise<unknown> =>
    Promise.all(Array.from({ length: 10 }, async () => pull(20, 30)));
  await clock.run(pods());
  const { failures } = kubelet;
  // Its burst is gone before the second Pod's request is there.
  expect(failures).toBeLessThan(5);
  await clock.run(clock.sleep(20_000, never));
  await clock.run(pods());
  expect(kubelet.failures).toBe(failures);
});

test("each node has a limit of its own, and all of the loopback are one", async () => {
  const { clock, pacing } = await setUp(stock);
  const burst = async (address: string): Promise<number> => {
    let held = 0;
    for (let image = 0; image < 8; image++) held += await pacing.hold(address, made, never);
    return held;
  };
  expect(await clock.run(burst("127.0.0.1"))).toBe(0);
  expect(await clock.run(burst("::1"))).toBeGreaterThan(1);
  await clock.run(Promise.all([pacing.hold("10.0.0.1", made, never), clock.sleep(10_000, never)]));
  expect(await clock.run(burst("10.0.0.1"))).toBe(0);
});

test("nobody is held without a limit, from when it is taken away", async () => {
  const clock = new SimulatedClock();
  let limits: KubeletLimits = { registryPullQPS: 0.01, registryBurst: 1 };
  const pacing = new Pacing(() => limits, clock);
  const turns = Promise.all([pacing.hold(loopback, made, never), pacing.hold(loopback, made, never)]);
  limits = { registryPullQPS: 0, registryBurst: 10 };
  await clock.run(turns);
  expect(clock.now()).toBeLessThanOrEqual(1000);
  expect(pacing.on).toBe(false);
  expect(await pacing.hold(loopback, made, never)).toBe(0);
});

test("what would be held longer than a client waits is refused at once", async () => {
  const { pacing } = await setUp({ registryPullQPS: 1, registryBurst: 10 });
  const turns = Array.from({ length: 400 }, () => pacing.hold(loopback, made, never));
  const outcomes = Promise.allSettled(turns);
  pacing.end();
  const refused = (await outcomes).filter(({ status }) => status === "rejected");
  // A burst, and what comes in 240 s.
  expect(400 - refused.length).toBeGreaterThan(200);
  expect(400 - refused.length).toBeLessThan(250);
  expect(refused[0]).toMatchObject({ reason: { code: "REGISTRY_BUSY", temporary: true } });
});

test("a client that goes away leaves its place to the next one", async () => {
  const { clock, pacing } = await setUp(stock);
  const gone = new AbortController();
  const first = Array.from({ length: 8 }, () => pacing.hold(loopback, made, never));
  await clock.run(Promise.all(first));
  const leaving = pacing.hold(loopback, made, gone.signal);
  const staying = pacing.hold(loopback, made, never);
  gone.abort(new Error("gone"));
  await expect(leaving).rejects.toThrow("gone");
  expect(await clock.run(staying)).toBeGreaterThan(0);
  await expect(pacing.hold(loopback, made, gone.signal)).rejects.toThrow("gone");
});

test("at the end all have their turn", async () => {
  const { pacing } = await setUp({ registryPullQPS: 0.1, registryBurst: 1 });
  const turns = Promise.all(Array.from({ length: 5 }, () => pacing.hold(loopback, made, never)));
  pacing.end();
  await turns;
  expect(await pacing.hold(loopback, made, never)).toBe(0);
});
