import type { LookupFunction } from "node:net";
import { NixClosureError, shuttingDown, sourceUnknown } from "../errors.ts";
import type { Closure, PathType } from "../nix/closure.ts";
import type { NarInfo } from "../nix/narinfo.ts";
import { storeDirectory, type StoreHash, type StorePath } from "../nix/store-path.ts";
import type { CacheTimeouts } from "./cache.ts";
import { systemClock, type Clock } from "./clock.ts";
import { unlessAborted } from "./flights.ts";
import { httpTimeouts } from "./http-client.ts";
import { Memory } from "./memory.ts";
import { namePath } from "./name-path.ts";
import type { NarLocation } from "./nar-location.ts";
import { silentObserver, type ResolverObserver } from "./observer.ts";
import { mapBounded, Slots } from "./slots.ts";
import { Source, type SourceConfig } from "./source.ts";
import type { ResolverLimits } from "./walk.ts";
import { Walks } from "./walks.ts";
import { whyAborted } from "./why-aborted.ts";

export type { SourceConfig } from "./source.ts";
export type { ResolverLimits } from "./walk.ts";

/**
 * Finds closures in binary caches, verified: every path is signed by a key of its source, or content-addressed.
 *
 * A caller's signal ends its own waiting, never the work: that goes on within limits of its own, so the next caller
 * finds it done or joins it. A signal of AbortSignal.timeout ends it with resolveTimeout, any other with its reason.
 * All calls reject with sourceUnknown for a source that is not
 * configured, and with shuttingDown after `close`.
 */
export interface Resolver {
  /** The names of the sources. */
  readonly sources: readonly string[];
  /**
   * The closure of some roots.
   *
   * @throws pathUnknown, pathUntrusted, pathMismatch, cacheUnavailable, cacheInvalidAnswer, cacheAccessDenied,
   * cacheLeadsAway, closureTooManyPaths, closureTooLarge, resolveTimeout
   */
  resolve(source: string, roots: readonly StorePath[], signal?: AbortSignal): Promise<Closure>;
  /** The closure of some roots if it is at hand, so that nobody need wait; undefined: `resolve` it. */
  known(source: string, roots: readonly StorePath[]): Closure | undefined;
  /** The same for roots of which only the hash parts are known. */
  resolveHashes(source: string, hashes: readonly StoreHash[], signal?: AbortSignal): Promise<Closure>;
  /** One path without its closure. */
  lookup(source: string, hash: StoreHash, signal?: AbortSignal): Promise<NarInfo>;
  /**
   * What paths are; all of them, or an error. It is told from bytes that are not verified, so that a wrong type can
   * make a pull fail, never give wrong content.
   */
  pathTypes(
    source: string,
    paths: readonly StorePath[],
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<StorePath, PathType>>;
  /** Where the NAR of a path is, for `openNar`: in every cache that has it, first in the one that answered first. */
  narLocations(source: string, path: StorePath, signal?: AbortSignal): Promise<readonly NarLocation[]>;
  /** Forgets a path and all closures with it, for instance because a cache has lost its NAR. */
  forget(source: string, path: StorePath): void;
  /** Ends everything that is under way, and all connections. */
  close(): Promise<void>;
}

export interface ResolverOptions {
  readonly sources: readonly SourceConfig[];
  readonly limits: ResolverLimits;
  /** Bytes for what was resolved; 192 MiB hold some 60,000 paths, or 10,000 closures of 50 that share 40,000. */
  readonly memoryBytes?: number;
  readonly observer?: ResolverObserver;
  /** For tests, as all that follows. */
  readonly clock?: Clock;
  readonly timeouts?: Partial<CacheTimeouts>;
  readonly lookup?: LookupFunction;
}

const defaultMemoryBytes = 192 * 1024 * 1024;
const defaultTimeouts: CacheTimeouts = { ...httpTimeouts, attempt: 30_000, patience: 120_000 };

/** Requests and open files at a time, of all walks together: four walks at full width. */
const maxRequests = 256;
/** Paths of one call whose types are asked for at a time. */
const typesAtATime = 64;

/**
 * Makes a resolver. Nothing is asked before it is used.
 *
 * @throws cacheUrlInvalid, publicKeyInvalid
 */
export function createResolver(options: ResolverOptions): Resolver {
  return new CacheResolver(options);
}

class CacheResolver implements Resolver {
  readonly sources: readonly string[];
  readonly #sources: ReadonlyMap<string, Source>;
  readonly #memory: Memory;
  readonly #clock: Clock;
  readonly #closing = new AbortController();

  constructor(options: ResolverOptions) {
    const { observer = silentObserver, clock = systemClock, memoryBytes = defaultMemoryBytes } = options;
    this.#clock = clock;
    this.#memory = new Memory(memoryBytes, clock, observer);
    const surroundings = {
      clock,
      observer,
      memory: this.#memory,
      walks: new Walks(clock),
      limits: options.limits,
      slots: new Slots(maxRequests),
      timeouts: { ...defaultTimeouts, ...options.timeouts },
      lookup: options.lookup,
    };
    this.#sources = new Map(
      options.sources.map((config) => [config.name, new Source(config, surroundings, this.#closing.signal)]),
    );
    this.sources = [...this.#sources.keys()];
  }

  async resolve(source: string, roots: readonly StorePath[], signal?: AbortSignal): Promise<Closure> {
    return this.#source(source).closure([...new Set(roots)], signal);
  }

  known(source: string, roots: readonly StorePath[]): Closure | undefined {
    return this.#source(source).known(roots);
  }

  async resolveHashes(source: string, hashes: readonly StoreHash[], signal?: AbortSignal): Promise<Closure> {
    const roots = await Promise.all(hashes.map((hash) => this.lookup(source, hash, signal)));
    return this.resolve(
      source,
      roots.map(({ storePath }) => storePath),
      signal,
    );
  }

  async lookup(name: string, hash: StoreHash, signal?: AbortSignal): Promise<NarInfo> {
    const source = this.#source(name);
    const label = `${storeDirectory}/${hash}-*`;
    const found = source.find(hash, label).catch((error: unknown) => {
      throw error instanceof NixClosureError ? namePath(error, label) : error;
    });
    return ((await this.#wait(found, signal, label)) ?? source.failUnknown(label)).info;
  }

  async pathTypes(
    name: string,
    paths: readonly StorePath[],
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<StorePath, PathType>> {
    const source = this.#source(name);
    const types = new Map<StorePath, PathType>();
    const all = mapBounded([...new Set(paths)], typesAtATime, async (path) => {
      types.set(path, await source.type(path));
    });
    await this.#wait(all, signal, `what kind of files ${paths.length} paths are`, types);
    // In the order asked, not that of the answers.
    return new Map(paths.map((path) => [path, types.get(path) as PathType]));
  }

  async narLocations(name: string, path: StorePath, signal?: AbortSignal): Promise<readonly NarLocation[]> {
    return this.#wait(this.#source(name).locate(path), signal, path);
  }

  forget(source: string, path: StorePath): void {
    this.#memory.forget(source, path);
  }

  async close(): Promise<void> {
    this.#closing.abort(shuttingDown());
    await Promise.all([...this.#sources.values()].map(async (source) => source.close()));
  }

  #source(name: string): Source {
    this.#closing.signal.throwIfAborted();
    const source = this.#sources.get(name);
    if (source === undefined) throw sourceUnknown(name, this.sources);
    return source;
  }

  async #wait<T>(
    work: Promise<T>,
    signal: AbortSignal | undefined,
    what: string,
    known: { readonly size: number } = { size: 0 },
  ): Promise<T> {
    const started = this.#clock.now();
    return unlessAborted(work, signal, () =>
      whyAborted(signal, what, (this.#clock.now() - started) / 1000, known.size),
    );
  }
}
