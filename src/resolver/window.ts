import type { Clock } from "./clock.ts";

/** Requests at a time at first: a listen queue of five takes in so many connections (python3 -m http.server). */
const firstSize = 6;
/** As many connections are made to a host; beyond that the measured gain is small, and servers begin to mind. */
export const largestSize = 64;
const smallestSize = 4;
/** More requests for each answer on a connection that was there: there will be one connection for each. */
const growth = 3;
/** Answers, times the size, for one more where each can mean one more connection to be taken in. */
const caution = 4;

/**
 * A request counts for so long (milliseconds): then it has its connection, or has lost it. What hangs is not to stand in
 * the way of others.
 */
const longestTurn = 1_000;

/** The leave to make a request, which is told what came of it. */
export interface Turn extends Disposable {
  answered(): void;
  unreachable(): void;
}

/**
 * How many requests one cache gets at a time: as many as it has shown to bear, as TCP finds it out (RFC 5681). It grows
 * fast while the cache keeps its connections, slowly while it makes a new one for each answer or was overrun before, and
 * is halved when the cache is overrun: a listen queue that is full drops who comes, and they come again all at once.
 */
export class Window {
  readonly #clock: Clock;
  readonly #waiting: (() => void)[] = [];
  #size = firstSize;
  #threshold = largestSize;
  #active = 0;
  #answers = 0;
  /** Connections that have not brought an answer. */
  #fresh = 0;
  #shrunk = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Requests that may be under way now. */
  get size(): number {
    return Math.floor(this.#size);
  }

  /** Waits for a turn, first come, first served. Whoever has it disposes of it; it ends by itself after a second. */
  async turn(): Promise<Turn> {
    if (this.#active < this.size) this.#active++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    const begun = this.#clock.now();
    const before = this.#answers;
    let ended = false;
    const end = (): void => {
      if (ended) return;
      ended = true;
      clearTimeout(timer);
      this.#active--;
      this.#admit();
    };
    const timer = setTimeout(end, longestTurn);
    return {
      answered: () => this.#grow(),
      // A cache that answers nobody is not overrun but gone, and one that hangs has taken the connection in.
      unreachable: () => {
        if (!ended && this.#answers > before) this.#shrink(begun);
      },
      [Symbol.dispose]: end,
    };
  }

  /** Is told of each connection that is made. */
  connected(): void {
    this.#fresh++;
  }

  /** Is told of a connection that has lost its first packet, and how long ago it was begun (milliseconds). */
  lost(age: number): void {
    this.#shrink(this.#clock.now() - age);
  }

  #grow(): void {
    this.#answers++;
    const kept = this.#fresh === 0;
    if (!kept) this.#fresh--;
    // What is not used up says nothing of what the cache would bear.
    if (this.#active < this.size) return;
    this.#size += kept && this.#size < this.#threshold ? growth : 1 / (caution * this.#size);
    this.#size = Math.min(this.#size, largestSize);
  }

  /** Once for all that was begun before: it met the same full queue. */
  #shrink(begun: number): void {
    if (begun < this.#shrunk) return;
    this.#shrunk = this.#clock.now();
    this.#size = Math.max(smallestSize, this.#size / 2);
    this.#threshold = this.#size;
  }

  #admit(): void {
    while (this.#active < this.size) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#active++;
      next();
    }
  }
}
