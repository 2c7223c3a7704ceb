import { mutateText } from "./mutator.ts";
import type { Random } from "./random.ts";
import { narString } from "../nix/nar-writer.ts";

/** A change of a list of strings, in place. */
type Mutation = (strings: Buffer[], random: Random, other: readonly Buffer[]) => void;

const isWord = (string: Buffer | undefined, word: string): boolean => string?.toString("latin1") === word;

/** Where an entry starts and ends; undefined if there is none. */
function entry(strings: readonly Buffer[], random: Random): readonly [number, number] | undefined {
  const starts = [...strings.keys()].filter((at) => isWord(strings[at], "entry"));
  if (starts.length === 0) return undefined;
  const start = random.pick(starts);
  let depth = 0;
  for (let at = start + 1; at < strings.length; at++) {
    if (isWord(strings[at], "(")) depth++;
    if (isWord(strings[at], ")") && --depth === 0) return [start, at + 1];
  }
  return undefined;
}

/** The string after one that says what it is: a name, contents, a target. */
function value(strings: readonly Buffer[], random: Random): number {
  const after = [...strings.keys()].filter((at) =>
    ["name", "contents", "target"].includes(strings[at - 1]?.toString("latin1") ?? ""),
  );
  return after.length === 0 ? random.below(strings.length) : random.pick(after);
}

const mutations: readonly Mutation[] = [
  (strings, random) => {
    const at = value(strings, random);
    strings[at] = mutateText(strings[at] ?? Buffer.of(), random, ["/", "\0", ".", "..", ".wh.", "a", "\xff"]);
  },
  (strings, random) => {
    const at = random.below(strings.length);
    strings[at] = mutateText(strings[at] ?? Buffer.of(), random, ["(", ")", "entry", "type", "x"]);
  },
  (strings, random) => void strings.splice(random.below(strings.length), 1 + random.below(3)),
  (strings, random, other) => {
    const at = random.below(other.length);
    strings.splice(random.below(strings.length + 1), 0, ...other.slice(at, at + 1 + random.below(8)));
  },
  (strings, random) => {
    const [start, end] = entry(strings, random) ?? [0, 0];
    // Right after itself: with the same name.
    strings.splice(end, 0, ...strings.slice(start, end));
  },
  (strings, random) => {
    const [start, end] = entry(strings, random) ?? [0, 0];
    const moved = strings.splice(start, end - start);
    const [, place] = entry(strings, random) ?? [0, random.below(strings.length + 1)];
    strings.splice(place, 0, ...moved);
  },
  (strings, random, other) => {
    const [start, end] = entry(other, random) ?? [0, 0];
    const [, place] = entry(strings, random) ?? [0, random.below(strings.length + 1)];
    strings.splice(place, 0, ...other.slice(start, end));
  },
  (strings, random, other) => {
    const at = value(strings, random);
    // Around the lengths of the fields of a tar header, and the limits of NARs.
    const length = random.pick([
      90 + random.below(20),
      150 + random.below(10),
      250 + random.below(7),
      4095,
      4096,
    ]);
    strings[at] = random.pick([...other, Buffer.alloc(length, random.pick(["n", "-", "~"]))]);
  },
];

/** A changed copy of a NAR, string by string, so that its lengths and padding stay right. */
export function mutateNar(input: Uint8Array, other: Uint8Array, random: Random): Uint8Array | undefined {
  const strings = [...stringsIn(input)];
  const others = [...stringsIn(other)];
  if (strings.length < 2 || others.length === 0) return undefined;
  const times = random.pick([1, 1, 1, 2, 3]);
  for (let time = 0; time < times && strings.length > 0; time++)
    random.pick(mutations)(strings, random, others);
  return Buffer.concat(strings.map(narString));
}

function* stringsIn(bytes: Uint8Array): Generator<Buffer> {
  const nar = Buffer.from(bytes);
  for (let at = 0; at + 8 <= nar.length;) {
    const length = nar.readUInt32LE(at);
    yield nar.subarray(at + 8, at + 8 + length);
    at += 8 + Math.ceil(length / 8) * 8;
  }
}
