import type { LookupFunction } from "node:net";
import type { ClosureName } from "../closure-index/closure-name.ts";
import type { NamedClosure } from "../closure-index/name-document.ts";
import type { NamedImages } from "../closure-index/named-images.ts";
import type { PushedImages } from "../closure-index/pushed-images.ts";
import { nameWithoutRegistry, shuttingDown, sourceUnknown } from "../errors.ts";
import type { Closure, PathType } from "../nix/closure.ts";
import type { PathInfo } from "../nix/path-info.ts";
import type { StoreHash, StorePath } from "../nix/store-path.ts";
import { CacheSource } from "./cache-source.ts";
import type { CacheTimeouts } from "./cache.ts";
import { systemClock, type Clock } from "./clock.ts";
import { httpTimeouts } from "./http-client.ts";
import { Memory } from "./memory.ts";
import type { ReadClosure } from "./name-request.ts";
import type { NarLocation } from "./nar-location.ts";
import { silentObserver, type ResolverObserver } from "./observer.ts";
import { RegistrySource } from "./registry-source.ts";
import { mapBounded, Slots } from "./slots.ts";
import { labelOf, type Names, type Source, type SourceConfig, type SourceSurroundings } from "./source.ts";
import { imagesOf } from "./trusted-closure.ts";
import { waitFor } from "./waiting.ts";
import type { ResolverLimits } from "./walk.ts";
import { Walks } from "./walks.ts";

export type { SourceConfig } from "./source.ts";
export type { ResolverLimits } from "./walk.ts";

/**
 * Finds closures, verified. In binary caches every path is signed by a key of its source, or content-addressed; of what was
 * pushed to a registry, the closure is signed as a whole.
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
   * cacheLeadsAway, closureTooManyPaths, closureTooLarge, resolveTimeout; of a registry: closureNotPushed,
   * closureUntrusted, closureRootsDiffer, closureIndexInvalid, closureIncomplete, tooManyTogether, registryUnavailable,
   * registryAccessDenied, registryInvalidAnswer, registryRefused
   */
  resolve(source: string, roots: readonly StorePath[], signal?: AbortSignal): Promise<Closure>;
  /** The closure of some roots if it is at hand, so that nobody need wait; undefined: `resolve` it. */
  known(source: string, roots: readonly StorePath[]): Closure | undefined;
  /** The same for roots of which only the hash parts are known. */
  resolveHashes(source: string, hashes: readonly StoreHash[], signal?: AbortSignal): Promise<Closure>;
  /**
   * What a name stands for, believed for a minute.
   *
   * @throws nameWithoutRegistry, nameNotPushed, nameDiffers, and of the errors of `resolve` those of a registry
   */
  named(source: string, name: ClosureName, signal?: AbortSignal): Promise<NamedImages>;
  /** The same if it is at hand. */
  knownName(source: string, name: ClosureName): NamedImages | undefined;
  /** The closure that a name stands for on one of its systems; each call asks the registry. */
  namedClosure(
    source: string,
    name: ClosureName,
    closure: NamedClosure,
    signal?: AbortSignal,
  ): Promise<ReadClosure>;
  /** One path without its closure. */
  lookup(source: string, hash: StoreHash, signal?: AbortSignal): Promise<PathInfo>;
  /**
   * What paths are; all of them, or an error. It is told from bytes that are not verified, so that a wrong type can
   * make a pull fail, never give wrong content.
   */
  pathTypes(
    source: string,
    paths: readonly StorePath[],
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<StorePath, PathType>>;
  /**
   * Where the NAR of a path is, for `openNar`: in every cache that has it, first in the one that answered first.
   *
   * @throws also sourceWithoutNars for a registry.
   */
  narLocations(source: string, path: StorePath, signal?: AbortSignal): Promise<readonly NarLocation[]>;
  /** `<host>/<repository>` that the closures of a source were pushed to; `undefined` for a source of caches. */
  repositoryOf(source: string): string | undefined;
  /** The images that a closure of the source was pushed with; `undefined` for a source of caches. */
  pushedImages(source: string, closure: Closure): PushedImages | undefined;
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
 * @throws cacheUrlInvalid, publicKeyInvalid, referenceInvalid
 */
export function createResolver(options: ResolverOptions): Resolver {
  return new SourcesResolver(options);
}

class SourcesResolver implements Resolver {
  readonly sources: readonly string[];
  readonly #sources: ReadonlyMap<string, Source>;
  readonly #memory: Memory;
  readonly #clock: Clock;
  readonly #closing = new AbortController();

  constructor(options: ResolverOptions) {
    const { observer = silentObserver, clock = systemClock, memoryBytes = defaultMemoryBytes } = options;
    this.#clock = clock;
    this.#memory = new Memory(memoryBytes, clock, observer);
    const surroundings: SourceSurroundings = {
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
      options.sources.map((config) => [config.name, makeSource(config, surroundings, this.#closing.signal)]),
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
    const roots = this.#source(source).roots(hashes);
    return this.resolve(source, await this.#wait(roots, signal, hashes.map(labelOf).join(" ")), signal);
  }

  async named(source: string, name: ClosureName, signal?: AbortSignal): Promise<NamedImages> {
    return this.#wait(this.#names(source, name).find(name), signal, `the name ${name}`);
  }

  knownName(source: string, name: ClosureName): NamedImages | undefined {
    return this.#source(source).names?.peek(name);
  }

  async namedClosure(
    source: string,
    name: ClosureName,
    closure: NamedClosure,
    signal?: AbortSignal,
  ): Promise<ReadClosure> {
    return this.#wait(this.#names(source, name).closure(name, closure), signal, `the closure of ${name}`);
  }

  async lookup(source: string, hash: StoreHash, signal?: AbortSignal): Promise<PathInfo> {
    return this.#wait(this.#source(source).lookup(hash), signal, labelOf(hash));
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

  repositoryOf(source: string): string | undefined {
    return this.#source(source).repository;
  }

  pushedImages(_source: string, closure: Closure): PushedImages | undefined {
    return imagesOf(closure);
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

  #names(source: string, name: ClosureName): Names {
    const { names } = this.#source(source);
    if (names === undefined) throw nameWithoutRegistry(name, source);
    return names;
  }

  async #wait<T>(
    work: Promise<T>,
    signal: AbortSignal | undefined,
    what: string,
    known: { readonly size: number } = { size: 0 },
  ): Promise<T> {
    return waitFor(work, { clock: this.#clock, signal, what, known });
  }
}

function makeSource(config: SourceConfig, surroundings: SourceSurroundings, closing: AbortSignal): Source {
  return "registry" in config
    ? new RegistrySource(config, surroundings, closing)
    : new CacheSource(config, surroundings, closing);
}
