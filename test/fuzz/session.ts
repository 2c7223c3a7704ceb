import { mutate } from "./mutator.ts";
import { Random } from "./random.ts";
import { shrink } from "./shrink.ts";
import type { FuzzTarget, Verdict } from "./target.ts";

/** An input that showed a defect. */
export interface Failure {
  readonly target: string;
  readonly seed: number;
  /** Which execution it was, from 1. */
  readonly execution: number;
  readonly message: string;
  readonly input: Uint8Array;
  /** The same failure with less input. */
  readonly shrunk: Uint8Array;
}

/** Parents of new inputs beside the seeds; the oldest give way. */
const maxFound = 2000;
const shrinkMs = 10_000;

/** Fuzzes one target. What is tried, and in which order, follows from the seed alone. */
export class Session {
  readonly target: FuzzTarget;
  readonly #seed: number;
  readonly #random: Random;
  readonly #seen: (input: Uint8Array) => void;
  readonly #kinds = new Set<string>();
  readonly #found: Uint8Array[] = [];
  #executions = 0;
  #accepted = 0;

  /** @param seen is told of each input before it is tried, in case that the thread never comes back. */
  constructor(target: FuzzTarget, seed: number, seen: (input: Uint8Array) => void = () => undefined) {
    this.target = target;
    this.#seed = seed;
    this.#random = new Random(seed, target.name);
    this.#seen = seen;
  }

  get executions(): number {
    return this.#executions;
  }

  /** Inputs that were accepted. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Different outcomes. */
  get kinds(): number {
    return this.#kinds.size;
  }

  /** Tries inputs until a time (milliseconds, performance.now()) or a number of executions; stops at a failure. */
  async run(until: { readonly time?: number; readonly executions?: number }): Promise<Failure | undefined> {
    const { time = Infinity, executions = Infinity } = until;
    while (this.#executions < executions && performance.now() < time) {
      const input = this.#next();
      this.#executions++;
      const failure = await this.#try(input);
      if (failure !== undefined) return this.#describe(input, failure);
    }
    return undefined;
  }

  /** First every seed as it is, then changed ones. */
  #next(): Uint8Array {
    const { seeds } = this.target;
    const seed = seeds[this.#executions];
    if (seed !== undefined) return seed;
    const [parent, other] = [this.#parent(), this.#parent()];
    // What is changed here and there has seldom its form any more.
    const changed = this.#random.below(4) > 0 ? this.target.mutate?.(parent, other, this.#random) : undefined;
    return changed !== undefined && changed.length <= this.target.maxLength
      ? changed
      : mutate(parent, this.#random, this.target, other);
  }

  #parent(): Uint8Array {
    const fromFound = this.#found.length > 0 && this.#random.below(2) === 0;
    return this.#random.pick(fromFound ? this.#found : this.target.seeds);
  }

  async #try(input: Uint8Array): Promise<Error | undefined> {
    this.#seen(input);
    try {
      const verdict = await timed(this.target, input);
      if (verdict.accepted) this.#accepted++;
      if (!this.#kinds.has(verdict.kind)) {
        this.#kinds.add(verdict.kind);
        this.#found.push(input);
        if (this.#found.length > maxFound) this.#found.shift();
      }
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  async #describe(input: Uint8Array, error: Error): Promise<Failure> {
    const sameWay = async (candidate: Uint8Array): Promise<boolean> => {
      const found = await this.#try(candidate);
      return found !== undefined && place(found) === place(error);
    };
    const shrunk = await shrink(input, sameWay, performance.now() + shrinkMs);
    return {
      target: this.target.name,
      seed: this.#seed,
      execution: this.#executions,
      message: error.stack ?? error.message,
      input,
      shrunk,
    };
  }
}

/** A verdict within the target's time, by the clock of this thread's processor: others may use the machine too. */
export async function timed(target: FuzzTarget, input: Uint8Array): Promise<Verdict> {
  const before = process.threadCpuUsage();
  const verdict = await target.check(input);
  const { user, system } = process.threadCpuUsage(before);
  const ms = (user + system) / 1000;
  if (ms > target.maxMs) throw new Error(`it took ${Math.round(ms)} ms, at most ${target.maxMs} are allowed`);
  return verdict;
}

/** Where an error came from, so that shrinking does not lead to another one. */
function place(error: Error): string {
  const frames = (error.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
  return `${error.name} ${frames.slice(0, 2).join()}`;
}
