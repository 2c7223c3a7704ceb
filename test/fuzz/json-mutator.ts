import type { Random } from "./random.ts";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const oddValues: readonly Json[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  2 ** 53,
  "",
  " ",
  "x".repeat(300),
  "\u0000",
  [],
  {},
  [null],
  [[]],
  { name: "app" },
  { "": "" },
];

const oddKeys = ["__proto__", "constructor", "toString", "", "name", "0", "\n", "a\r\nb", "a/b", "a~1b"];

/** A place in a document: what holds a value, and under which key or position. */
interface Place {
  readonly holder: Json[] | { [key: string]: Json };
  readonly key: string;
}

type Mutation = (place: Place, random: Random, values: readonly Json[]) => void;

function get({ holder, key }: Place): Json {
  return (holder as { [key: string]: Json })[key] ?? null;
}

/** Defines the member: `__proto__` too is to be one like any other. */
function set({ holder }: Place, key: string, value: Json): void {
  Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
}

const mutations: readonly Mutation[] = [
  (place, random, values) => set(place, place.key, structuredClone(random.pick(values))),
  (place, random) => set(place, place.key, structuredClone(random.pick(oddValues))),
  ({ holder, key }) => {
    if (Array.isArray(holder)) holder.splice(Number(key), 1);
    else delete holder[key];
  },
  ({ holder, key }, random) => {
    if (!Array.isArray(holder)) return;
    const copies = Array.from({ length: random.pick([1, 1, 3, 30]) }, () =>
      structuredClone(holder[Number(key)]),
    );
    holder.splice(random.below(holder.length + 1), 0, ...copies.filter((copy) => copy !== undefined));
  },
  (place, random, values) => {
    const other = random.pick(values);
    const key = typeof other === "string" ? other : random.pick(oddKeys);
    if (!Array.isArray(place.holder)) set(place, key.slice(0, 400), structuredClone(get(place)));
  },
  (place, random, values) => {
    const [text, word] = [get(place), random.pick(values)];
    if (typeof text !== "string") return;
    const at = random.below(text.length + 1);
    const insert = typeof word === "string" ? word : random.pick(["/", ":", ",", " ", "\n", "..", "A", "0"]);
    set(place, place.key, text.slice(0, at) + insert + text.slice(at + random.below(4)));
  },
  (place) => {
    const { holder } = place;
    if (Array.isArray(holder)) holder.reverse();
  },
];

/** A changed copy of a JSON document; undefined where the input, or all that is left of it, is none. */
export function mutateJson(input: Uint8Array, other: Uint8Array, random: Random): Uint8Array | undefined {
  const root: { [key: string]: Json } = {};
  let values: readonly Json[];
  try {
    root["root"] = JSON.parse(Buffer.from(input).toString()) as Json;
    values = placesIn({ root: JSON.parse(Buffer.from(other).toString()) as Json }).flatMap((place) => [
      get(place),
      place.key,
    ]);
  } catch {
    return undefined;
  }
  const times = random.pick([1, 1, 2, 3, 6]);
  for (let time = 0; time < times; time++) {
    random.pick(mutations)(random.pick(placesIn(root)), random, values);
    root["root"] ??= null;
  }
  return Buffer.from(JSON.stringify(root["root"]));
}

/** Every value below a holder. */
function placesIn(holder: Place["holder"]): readonly Place[] {
  return Object.keys(holder).flatMap((key) => {
    const place = { holder, key };
    const value = get(place);
    return typeof value === "object" && value !== null ? [place, ...placesIn(value)] : [place];
  });
}
