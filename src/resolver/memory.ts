import { LRUCache } from "lru-cache";
import type { Closure, PathType } from "../nix/closure.ts";
import { storeHash, type StoreHash, type StorePath } from "../nix/store-path.ts";
import type { AcceptedPath } from "./acceptance.ts";
import type { Clock } from "./clock.ts";
import type { ResolverObserver } from "./observer.ts";

/** A path with the place (0 is first) of the cache that answered for it. */
export interface KnownPath extends AcceptedPath {
  readonly cache: number;
}

/**
 * How long an answer is believed (milliseconds). What a narinfo says of a path never changes, but a cache may collect
 * it as garbage, which is to be noticed within a day (Nix believes an answer for 30 days).
 */
const freshFor = 24 * 60 * 60 * 1000;

/**
 * How long "no cache has it" is believed (milliseconds). Often the next thing that happens is that somebody copies
 * the path there and tries again; this only keeps a Deployment of 100 Pods from asking 100 times (Nix: an hour).
 */
const missingFor = 5_000;

/** What a remembered thing takes, in bytes: measured for Node 24, rounded up. */
const entrySize = 256;
const infoSize = 1536;
const closureSizePerPath = 128;

/**
 * A narinfo in memory takes about three times its bytes: the text that its values are cut out of, and each reference
 * and the set of them once more.
 */
const sizePerNarInfoByte = 3;

type Entry =
  | { readonly kind: "path"; readonly known: KnownPath; readonly since: number }
  | { readonly kind: "missing"; readonly since: number }
  | { readonly kind: "type"; readonly type: PathType }
  | { readonly kind: "closure"; readonly closure: Closure; readonly since: number };

/** What was resolved before, least recently used first to go, bounded by an estimate of its bytes. */
export class Memory {
  readonly #entries: LRUCache<string, Entry>;
  readonly #clock: Clock;
  readonly #observer: ResolverObserver;

  constructor(maxBytes: number, clock: Clock, observer: ResolverObserver) {
    this.#entries = new LRUCache({ maxSize: maxBytes });
    this.#clock = clock;
    this.#observer = observer;
  }

  /** Estimate of the bytes in use. */
  get bytes(): number {
    return this.#entries.calculatedSize;
  }

  /** What is known of a path; `stale` holds an answer that is too old to be believed without asking. */
  path(
    source: string,
    hash: StoreHash,
  ): { readonly known: KnownPath | "missing" | undefined; readonly stale?: KnownPath } {
    const entry = this.#entries.get(keyOf("path", source, hash));
    if (entry?.kind === "path") {
      if (this.#isFresh(entry.since, freshFor)) return this.#told({ known: entry.known });
      return this.#told({ known: undefined, stale: entry.known });
    }
    const missing = entry?.kind === "missing" && this.#isFresh(entry.since, missingFor);
    return this.#told({ known: missing ? "missing" : undefined });
  }

  rememberPath(source: string, hash: StoreHash, known: KnownPath | "missing"): void {
    const since = this.#clock.now();
    const key = keyOf("path", source, hash);
    if (known === "missing") this.#entries.set(key, { kind: "missing", since }, { size: entrySize });
    else this.#entries.set(key, { kind: "path", known, since }, { size: entrySize + sizeOf(known) });
  }

  type(source: string, path: StorePath): PathType | undefined {
    const entry = this.#entries.get(keyOf("type", source, path));
    return this.#told({ known: entry?.kind === "type" ? entry.type : undefined }).known;
  }

  rememberType(source: string, path: StorePath, type: PathType): void {
    this.#entries.set(keyOf("type", source, path), { kind: "type", type }, { size: entrySize });
  }

  closure(source: string, roots: readonly StorePath[]): Closure | undefined {
    const entry = this.#entries.get(keyOf("closure", source, roots.join(" ")));
    const fresh = entry?.kind === "closure" && this.#isFresh(entry.since, freshFor);
    return this.#told({ known: fresh ? entry.closure : undefined }).known;
  }

  /** @param paths those of the closure: it keeps them in memory even when they are forgotten on their own. */
  rememberClosure(source: string, closure: Closure, paths: Iterable<AcceptedPath>): void {
    let size = entrySize;
    for (const path of paths) size += closureSizePerPath + sizeOf(path);
    const key = keyOf("closure", source, closure.roots.join(" "));
    this.#entries.set(key, { kind: "closure", closure, since: this.#clock.now() }, { size });
  }

  /** Forgets a path, its type, and every closure with it. */
  forget(source: string, path: StorePath): void {
    this.#entries.delete(keyOf("path", source, storeHash(path)));
    this.#entries.delete(keyOf("type", source, path));
    const closures = keyOf("closure", source, "");
    for (const [key, entry] of this.#entries.entries()) {
      if (entry.kind === "closure" && key.startsWith(closures) && entry.closure.byPath.has(path)) {
        this.#entries.delete(key);
      }
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

function sizeOf(path: AcceptedPath): number {
  return infoSize + sizePerNarInfoByte * path.size;
}
