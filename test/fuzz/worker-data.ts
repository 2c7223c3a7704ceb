import type { Failure } from "./session.ts";

/** What the thread that fuzzes is given. */
export interface FuzzWork {
  readonly names: readonly string[];
  readonly seed: number;
  /** For all of them together. */
  readonly milliseconds: number;
  /** The input that is tried, for whoever watches; see {@link sharedInput}. */
  readonly shared: SharedArrayBuffer;
}

/** What came of one target. */
export interface FuzzResult {
  readonly target: string;
  readonly executions: number;
  readonly accepted: number;
  readonly kinds: number;
  readonly failure?: Failure;
}

/** What the thread says after each round. */
export interface FuzzMessage {
  readonly results: readonly FuzzResult[];
  readonly done: boolean;
}

const maxInput = 2 ** 20;
const maxName = 32;
/** Number of the input, its length, the length of the target's name. */
const header = 12;

/** Room for an input that both threads see. */
export function sharedInput(): SharedArrayBuffer {
  return new SharedArrayBuffer(header + maxName + maxInput);
}

/** Notes the input that is about to be tried. */
export function noteInput(shared: SharedArrayBuffer, target: string, input: Uint8Array): void {
  const numbers = new Int32Array(shared, 0, 3);
  const name = Buffer.from(target).subarray(0, maxName);
  const bytes = new Uint8Array(shared, header);
  bytes.set(name);
  bytes.set(input.subarray(0, maxInput), maxName);
  Atomics.store(numbers, 1, Math.min(input.length, maxInput));
  Atomics.store(numbers, 2, name.length);
  Atomics.add(numbers, 0, 1);
}

/** The input that is being tried. */
export function inputOf(shared: SharedArrayBuffer): {
  readonly count: number;
  readonly target: string;
  readonly input: Uint8Array;
} {
  const numbers = new Int32Array(shared, 0, 3);
  const bytes = new Uint8Array(shared, header);
  return {
    count: Atomics.load(numbers, 0),
    target: Buffer.from(bytes.subarray(0, Atomics.load(numbers, 2))).toString(),
    input: Uint8Array.from(bytes.subarray(maxName, maxName + Atomics.load(numbers, 1))),
  };
}
