import { LRUCache } from "lru-cache";
import type { Closure, PathType } from "../nix/closure.ts";
import { storeHash, type StoreHash, type StorePath } from "../nix/store-path.ts";
import type { AcceptedPath } from "./acceptance.ts";
import type { Clock } from "./clock.ts";
import type { ResolverObserver } from "./observer.ts";
import type { TrustedClosure } from "./trusted-closure.ts";

/** A path with the place (0 is first) of the cache that answered for it. */
export interface KnownPath extends AcceptedPath {
  readonly cache: number;
}

/**
 * How long an answer is believed (milliseconds). What a narinfo says of a path never changes, but a cache may collect
 * it as garbage, which is to be noticed within a day (Nix believes an answer for 30 days).
 */
export const freshFor = 24 * 60 * 60 * 1000;

/**
 * How long "no cache has it" is believed (milliseconds). Often the next thing that happens is that somebody copies
 * the path there and tries again; this only keeps a Deployment of 100 Pods from asking 100 times (Nix: an hour).
 */
const missingFor = 5_000;

/** What a remembered thing takes, in bytes: measured for Node 24, rounded up. */
const entrySize = 256;
const infoSize = 512;
const closureSizePerPath = 96;

/**
 * A narinfo in memory takes about three times its bytes: the text that its values are cut out of, and each reference
 * and the set of them once more.
 */
const sizePerNarInfoByte = 3;

/** So does a pushed closure, of the bytes of its document, and something more, however small it is. */
const sizePerDocumentByte = 3;
const pushedSize = 2048;

/** A path that is in memory once, however many closures have it. */
interface Held {
  readonly key: string;
  readonly known: KnownPath;
  readonly since: number;
  /** Entries that have it: its own, and closures. */
  holders: number;
}

type Entry =
  | { readonly kind: "path"; readonly held: Held }
  | { readonly kind: "missing"; readonly since: number }
  | { readonly kind: "type"; readonly type: PathType }
  | {
      readonly kind: "closure";
      readonly closure: Closure;
      readonly held: readonly Held[];
      readonly since: number;
    }
  | { readonly kind: "pushed"; readonly pushed: TrustedClosure; readonly until: number };

/**
 * What was resolved before, least recently used first to go, bounded by an estimate of its bytes. Closures share their
 * paths, here as in the estimate: a path goes with the last that has it.
 */
export class Memory {
  readonly #entries: LRUCache<string, Entry>;
  readonly #held = new Map<string, Held>();
  readonly #maxBytes: number;
  readonly #clock: Clock;
  readonly #observer: ResolverObserver;
  #heldBytes = 0;

  constructor(maxBytes: number, clock: Clock, observer: ResolverObserver) {
    this.#maxBytes = maxBytes;
    this.#entries = new LRUCache({ maxSize: maxBytes, dispose: (entry) => this.#release(entry) });
    this.#clock = clock;
    this.#observer = observer;
  }

  /** Estimate of the bytes in use. */
  get bytes(): number {
    return this.#entries.calculatedSize + this.#heldBytes;
  }

  /** What is known of a path; `stale` holds an answer that is too old to be believed without asking. */
  path(
    source: string,
    hash: StoreHash,
  ): { readonly known: KnownPath | "missing" | undefined; readonly stale?: KnownPath } {
    const key = keyOf("path", source, hash);
    const entry = this.#entries.get(key);
    const held = this.#held.get(key);
    if (held !== undefined) {
      if (this.#isFresh(held.since, freshFor)) return this.#told({ known: held.known });
      return this.#told({ known: undefined, stale: held.known });
    }
    const missing = entry?.kind === "missing" && this.#isFresh(entry.since, missingFor);
    return this.#told({ known: missing ? "missing" : undefined });
  }

  /** @returns the same, in the form that is in memory. */
  rememberPath(source: string, hash: StoreHash, found: KnownPath): KnownPath {
    const known = this.#withKnownReferences(source, found);
    const key = keyOf("path", source, hash);
    // Closures may have the old answer for as long as they are believed themselves.
    this.#held.delete(key);
    const held = { key, known, since: this.#clock.now(), holders: 0 };
    this.#keep(key, { kind: "path", held }, entrySize);
    return known;
  }

  rememberMissing(source: string, hash: StoreHash): void {
    const key = keyOf("path", source, hash);
    this.#held.delete(key);
    this.#keep(key, { kind: "missing", since: this.#clock.now() }, entrySize);
  }

  type(source: string, path: StorePath): PathType | undefined {
    const entry = this.#entries.get(keyOf("type", source, path));
    return this.#told({ known: entry?.kind === "type" ? entry.type : undefined }).known;
  }

  rememberType(source: string, path: StorePath, type: PathType): void {
    this.#keep(keyOf("type", source, path), { kind: "type", type }, entrySize);
  }

  closure(source: string, roots: readonly StorePath[]): Closure | undefined {
    return this.#told({ known: this.#closure(source, roots) }).known;
  }

  /** The same for who asks for the closure next if it is not here; a miss is then told once. */
  peekClosure(source: string, roots: readonly StorePath[]): Closure | undefined {
    const known = this.#closure(source, roots);
    return known && this.#told({ known }).known;
  }

  #closure(source: string, roots: readonly StorePath[]): Closure | undefined {
    const entry = this.#entries.get(keyOf("closure", source, roots.join(" ")));
    return entry?.kind === "closure" && this.#isFresh(entry.since, freshFor) ? entry.closure : undefined;
  }

  /** @param paths those of the closure: it keeps them in memory even when they are forgotten on their own. */
  rememberClosure(source: string, closure: Closure, paths: Iterable<KnownPath>): void {
    const since = this.#clock.now();
    const held = Array.from(paths, (known): Held => {
      const key = keyOf("path", source, storeHash(known.info.storePath));
      const present = this.#held.get(key);
      return present?.known === known ? present : { key, known, since, holders: 0 };
    });
    const key = keyOf("closure", source, closure.roots.join(" "));
    const size = entrySize + closureSizePerPath * held.length;
    this.#keep(key, { kind: "closure", closure, held, since }, size);
  }

  /** What is known of a pushed closure by its tag; `stale` is too old to be believed without asking. */
  pushed(
    source: string,
    tag: string,
  ): { readonly known: TrustedClosure | undefined; readonly stale?: TrustedClosure } {
    const entry = this.#entries.get(keyOf("pushed", source, tag));
    if (entry?.kind !== "pushed") return this.#told({ known: undefined });
    if (this.#clock.now() < entry.until) return this.#told({ known: entry.pushed });
    return this.#told({ known: undefined, stale: entry.pushed });
  }

  /** The same as {@link peekClosure}. */
  peekPushed(source: string, tag: string): TrustedClosure | undefined {
    const entry = this.#entries.get(keyOf("pushed", source, tag));
    if (entry?.kind !== "pushed" || this.#clock.now() >= entry.until) return undefined;
    return this.#told({ known: entry.pushed }).known;
  }

  /** A pushed closure that has a path, however old: the last one that somebody asked for. */
  pushedWith(source: string, path: StorePath): TrustedClosure | undefined {
    const prefix = keyOf("pushed", source, "");
    for (const [key, entry] of this.#entries.entries()) {
      if (entry.kind === "pushed" && key.startsWith(prefix) && entry.pushed.path(path) !== undefined) {
        return this.#told({ known: entry.pushed }).known;
      }
    }
    return this.#told({ known: undefined }).known;
  }

  /** @param believedFor milliseconds. */
  rememberPushed(source: string, tag: string, pushed: TrustedClosure, believedFor: number): void {
    const size = entrySize + pushedSize + sizePerDocumentByte * pushed.size;
    const until = this.#clock.now() + believedFor;
    this.#keep(keyOf("pushed", source, tag), { kind: "pushed", pushed, until }, size);
  }

  forgetPushed(source: string, tag: string): void {
    this.#entries.delete(keyOf("pushed", source, tag));
  }

  /** Forgets a path, its type, and every closure with it. */
  forget(source: string, path: StorePath): void {
    const key = keyOf("path", source, storeHash(path));
    this.#entries.delete(key);
    this.#held.delete(key);
    this.#entries.delete(keyOf("type", source, path));
    const closures = keyOf("closure", source, "");
    const pushed = keyOf("pushed", source, "");
    for (const [key, entry] of this.#entries.entries()) {
      const has =
        entry.kind === "closure"
          ? key.startsWith(closures) && entry.closure.byPath.has(path)
          : entry.kind === "pushed" && key.startsWith(pushed) && entry.pushed.path(path) !== undefined;
      if (has) this.#entries.delete(key);
    }
  }

  /** With the very strings of paths that are in memory: most references are to those, and many to the same. */
  #withKnownReferences(source: string, known: KnownPath): KnownPath {
    const references = known.info.references.map((reference) => {
      const held = this.#held.get(keyOf("path", source, storeHash(reference)));
      return held?.known.info.storePath === reference ? held.known.info.storePath : reference;
    });
    return { ...known, info: { ...known.info, references } };
  }

  /** Adds an entry, and lets go of the least recently used until all fits; what would not fit alone is not kept. */
  #keep(key: string, entry: Entry, size: number): void {
    const all = heldBy(entry);
    if (all.reduce((sum, { known }) => sum + sizeOf(known), size) > this.#maxBytes) {
      this.#entries.delete(key);
      return;
    }
    for (const held of all) {
      if (held.holders++ === 0) this.#heldBytes += sizeOf(held.known);
      if (!this.#held.has(held.key)) this.#held.set(held.key, held);
    }
    this.#entries.set(key, entry, { size });
    while (this.bytes > this.#maxBytes) this.#entries.pop();
  }

  #release(entry: Entry): void {
    for (const held of heldBy(entry)) {
      if (--held.holders > 0) continue;
      this.#heldBytes -= sizeOf(held.known);
      if (this.#held.get(held.key) === held) this.#held.delete(held.key);
    }
  }

  #isFresh(since: number, milliseconds: number): boolean {
    return this.#clock.now() - since < milliseconds;
  }

  #told<T extends { readonly known: unknown }>(answer: T): T {
    this.#observer.memory({ outcome: answer.known === undefined ? "miss" : "hit" });
    return answer;
  }
}

function keyOf(kind: Entry["kind"], source: string, rest: string): string {
  return `${kind} ${source} ${rest}`;
}

function heldBy(entry: Entry): readonly Held[] {
  if (entry.kind === "closure") return entry.held;
  return entry.kind === "path" ? [entry.held] : [];
}

function sizeOf(path: AcceptedPath): number {
  return infoSize + sizePerNarInfoByte * path.size;
}
