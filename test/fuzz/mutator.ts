import type { Random } from "./random.ts";
import type { FuzzTarget } from "./target.ts";

/** Lengths and counts at the borders of what fits into something. */
const borders: readonly bigint[] = [
  0n,
  1n,
  7n,
  8n,
  32n,
  33n,
  255n,
  256n,
  4095n,
  4096n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
];

type Mutation = (input: Buffer, random: Random, target: FuzzTarget, other: Uint8Array) => Buffer;

/** A part of an input: where it starts and ends, short ones more often. */
function part({ length }: Uint8Array, random: Random): readonly [number, number] {
  const start = random.below(length + 1);
  const most = random.pick([1, 4, 16, 64, length]);
  return [start, Math.min(length, start + 1 + random.below(most))];
}

function splice(input: Buffer, start: number, end: number, ...instead: readonly Uint8Array[]): Buffer {
  return Buffer.concat([input.subarray(0, start), ...instead, input.subarray(end)]);
}

/** What lies between two breaks: lines, words, entries of JSON, words of 8 bytes. */
function piece(input: Buffer, random: Random): readonly [number, number] {
  const at = random.below(input.length);
  if (random.below(3) === 0) return [at - (at % 8), Math.min(input.length, at - (at % 8) + 8)];
  const separator = random.pick(["\n", " ", ",", ":", "/", "-", '"', "{", "}", "\0", ";"]);
  const next = input.indexOf(separator, at);
  return [input.lastIndexOf(separator, at) + 1, next < 0 ? input.length : next + 1];
}

const mutations: readonly Mutation[] = [
  (input, random) => {
    if (input.length > 0) input[random.below(input.length)] = random.below(256);
    return input;
  },
  (input, random) => {
    const at = random.below(input.length);
    if (input.length > 0) input[at] = (input[at] ?? 0) ^ (1 << random.below(8));
    return input;
  },
  (input, random) => splice(input, ...part(input, random)),
  (input, random) => splice(input, ...piece(input, random)),
  (input, random) => {
    const [start, end] = random.below(2) === 0 ? part(input, random) : piece(input, random);
    const times = random.pick([1, 1, 1, 2, 10, 100]);
    return splice(input, end, end, ...Array.from({ length: times }, () => input.subarray(start, end)));
  },
  (input, random) => {
    const [start, end] = piece(input, random);
    const [otherStart, otherEnd] = piece(input, random);
    return splice(input, start, end, input.subarray(otherStart, otherEnd));
  },
  (input, random, { words }) => {
    const word = words.length === 0 ? random.bytes(1 + random.below(8)) : Buffer.from(random.pick(words));
    const [start, end] = random.below(2) === 0 ? piece(input, random) : part(input, random);
    return splice(input, start, random.below(2) === 0 ? start : end, word);
  },
  (input, random) => {
    const at = random.below(input.length + 1);
    return splice(input, at, at, random.bytes(1 + random.below(random.pick([2, 8, 40]))));
  },
  (input, random) => {
    if (input.length < 8) return input;
    const at = random.below(input.length - 7);
    const aligned = random.below(4) === 0 ? at : at - (at % 8);
    input.writeBigUInt64LE(random.pick(borders), aligned);
    return input;
  },
  (input, random) => {
    const [start, end] = piece(input, random);
    return splice(input, start, end, Buffer.from(String(random.pick(borders))));
  },
  (input, random, _target, other) => {
    const [start, end] = part(input, random);
    return splice(input, start, end, other.subarray(...part(other, random)));
  },
  (input, random) => input.subarray(0, random.below(input.length + 1)),
];

/** A changed copy of an input: mostly a little, sometimes a lot. */
export function mutate(
  parent: Uint8Array,
  random: Random,
  target: FuzzTarget,
  other: Uint8Array,
): Uint8Array {
  let input: Buffer = Buffer.from(parent);
  const times = random.pick([1, 1, 1, 2, 2, 3, 5, 10]);
  for (let time = 0; time < times; time++) input = random.pick(mutations)(input, random, target, other);
  return new Uint8Array(input.subarray(0, target.maxLength));
}

/** A changed copy of a short text: a character, a part, a word. */
export function mutateText(text: Uint8Array, random: Random, words: readonly string[]): Buffer {
  const [start, end] = part(text, random);
  const instead = random.pick([
    Buffer.of(),
    Buffer.from(random.pick(words), "latin1"),
    Buffer.from(random.pick(words), "latin1"),
    random.bytes(1),
  ]);
  return splice(Buffer.from(text), start, random.below(2) === 0 ? start : end, instead);
}
