import { LRUCache } from "lru-cache";
import { registryBusy, shuttingDown } from "../errors.ts";
import { pace, type KubeletLimits } from "../plan/budget.ts";
import { type Clock, systemClock } from "../resolver/clock.ts";
import { localKindOfAddress } from "../local-address.ts";

/** A kubelet without a limit. */
export const unlimited: KubeletLimits = { registryPullQPS: 0, registryBurst: 1 };

/** Seconds: less than the 5 minutes after which containerd gives up on a pull. */
const maxHold = 240;
/** Milliseconds without a request, after which a kubelet may pull one by one again. */
const pause = 60_000;
/** Milliseconds after which limits that have changed are in force for those who wait. */
const longestSleep = 1000;
/** Nodes that are told apart; a node that is forgotten has its burst again. */
const maxNodes = 1000;

/**
 * Holds requests for tags so that a kubelet does not pull more often than its own limit allows. The kubelet does not
 * wait for its limit, it fails the pull (pkg/kubelet/images/helpers.go, throttledImageService); but it asks for a Pod's
 * images one after the other, and what it waits for gives its limit time.
 *
 * There is a bucket like the kubelet's (k8s.io/client-go/util/flowcontrol) for each node that asks.
 */
export class Pacing {
  readonly #limits: () => KubeletLimits;
  readonly #clock: Clock;
  readonly #nodes = new LRUCache<string, Bucket>({ max: maxNodes });
  readonly #closing = new AbortController();
  readonly #started: number;

  /** @param limits those in force now. */
  constructor(limits: () => KubeletLimits, clock: Clock = systemClock) {
    this.#limits = limits;
    this.#clock = clock;
    this.#started = clock.now();
  }

  /** Whether requests are held at all. */
  get on(): boolean {
    return this.#limits().registryPullQPS > 0;
  }

  /**
   * Holds a request for a tag until its turn has come and its image is there.
   *
   * @param address of the node that asks; all of the loopback are one.
   * @param image what is being made meanwhile.
   * @returns seconds that it waited for its turn.
   * @throws registryBusy if the turn is too far away, the signal's reason, what the image fails with
   */
  async hold(address: string, image: Promise<unknown>, signal: AbortSignal): Promise<number> {
    const node = localKindOfAddress(address) === "loopback" ? "loopback" : address;
    let bucket = this.#nodes.get(node);
    if (bucket === undefined) {
      bucket = new Bucket(this.#limits, this.#clock, this.#closing.signal, this.#started);
      this.#nodes.set(node, bucket);
    }
    const start = this.#clock.now();
    await bucket.enter(signal);
    const held = this.#clock.now() - start;
    try {
      await image;
    } finally {
      bucket.leave();
    }
    return held / 1000;
  }

  /** Holds nothing any more: whoever waits has its turn. */
  end(): void {
    this.#closing.abort(shuttingDown());
  }
}

/**
 * The pulls that a node's kubelet has left, as far as its requests here tell. A pull is paid for when it is asked for.
 * It has its turn when the kubelet can pay for the one that follows it too, which nobody can hold any more.
 */
class Bucket {
  readonly #limits: () => KubeletLimits;
  readonly #clock: Clock;
  readonly #closing: AbortSignal;
  readonly #waiting: (() => void)[] = [];
  /** Requests that are not answered. */
  #open = 0;
  /** The most that were open at a time since the last pause: so many pulls can follow at once. */
  #parallel = 1;
  #tokens = 0;
  #updated: number;
  #draining = false;

  /** @param since from when on it fills: a registry that has just started does not know what nodes have pulled before. */
  constructor(limits: () => KubeletLimits, clock: Clock, closing: AbortSignal, since: number) {
    this.#limits = limits;
    this.#clock = clock;
    this.#closing = closing;
    this.#updated = since;
  }

  /** Waits for a turn; `leave` ends it. */
  async enter(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#update();
    if (this.#secondsToTurn > maxHold) throw registryBusy(this.#waiting.length);
    this.#tokens--;
    this.#parallel = Math.max(this.#parallel, ++this.#open);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = (): void => {
      // The kubelet has paid for it all the same.
      this.#waiting.splice(this.#waiting.indexOf(resolve), 1);
      this.leave();
      reject(signal.reason);
    };
    this.#waiting.push(resolve);
    signal.addEventListener("abort", onAbort, { once: true });
    void this.#drain();
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  leave(): void {
    this.#open--;
  }

  async #drain(): Promise<void> {
    if (this.#draining) return;
    this.#draining = true;
    while (this.#waiting.length > 0) {
      this.#update();
      const seconds = this.#closing.aborted ? 0 : this.#secondsToTurn;
      if (seconds > 0) await this.#sleep(seconds);
      else this.#waiting.shift()?.();
    }
    this.#draining = false;
  }

  async #sleep(seconds: number): Promise<void> {
    const milliseconds = Math.min(Math.ceil(seconds * 1000), longestSleep);
    // The end is looked at by who calls.
    await this.#clock.sleep(milliseconds, this.#closing).catch(() => undefined);
  }

  /** Seconds until all that wait have their turn; they have paid already. */
  get #secondsToTurn(): number {
    const { rate, burst } = pace(this.#limits());
    return rate === 0 ? 0 : (Math.min(this.#parallel - 1, burst) - this.#tokens) / rate;
  }

  /** Adds what has come since the last time. */
  #update(): void {
    const now = this.#clock.now();
    const { rate, burst } = pace(this.#limits());
    const came = ((now - this.#updated) / 1000) * rate;
    if (this.#open === 0 && now - this.#updated > pause) this.#parallel = 1;
    this.#updated = now;
    this.#tokens = Math.min(this.#tokens + came, burst);
  }
}
