import type { LookupFunction } from "node:net";
import type { ClosureName } from "../closure-index/closure-name.ts";
import type { NamedClosure } from "../closure-index/name-document.ts";
import type { NamedImages } from "../closure-index/named-images.ts";
import type { Closure, PathType } from "../nix/closure.ts";
import type { PathInfo } from "../nix/path-info.ts";
import { storeDirectory, type StoreHash, type StorePath } from "../nix/store-path.ts";
import type { CacheTimeouts } from "./cache.ts";
import type { Clock } from "./clock.ts";
import type { Memory } from "./memory.ts";
import type { ReadClosure } from "./name-request.ts";
import type { NarLocation } from "./nar-location.ts";
import type { ResolverObserver } from "./observer.ts";
import type { Slots } from "./slots.ts";
import type { ResolverLimits } from "./walk.ts";
import type { Walks } from "./walks.ts";

/** A named origin of closures. */
export type SourceConfig = CacheSourceConfig | RegistrySourceConfig;

/** An ordered list of binary caches with one set of public keys. */
export interface CacheSourceConfig {
  readonly name: string;
  /** `https://host`, `http://host` or `file:///directory`, asked in this order. */
  readonly caches: readonly string[];
  /** `<name>:<base64>`; a path needs a signature by one of them, or a content address. */
  readonly publicKeys: readonly string[];
  /** Logins by machine, as Nix's netrc-file. Read again when it changes. */
  readonly netrcFile?: string;
  /**
   * A token for all HTTP caches of the source that have no login of their own, so a public cache belongs into another
   * source. Read again when it changes.
   */
  readonly bearerTokenFile?: string;
}

/** A repository of an ordinary registry that closures were pushed to. */
export interface RegistrySourceConfig {
  readonly name: string;
  /** `<host>/<repository>`. */
  readonly registry: string;
  /** `<name>:<base64>`; a closure needs a signature by one of them. */
  readonly publicKeys: readonly string[];
  /** Credentials in the form of docker's config.json. Read again when it changes. */
  readonly dockerConfigFile?: string;
  /** Authorities that are trusted beside the usual ones, PEM. Read again when it changes. */
  readonly caFile?: string;
  /** Default: for a loopback host without `caFile`. */
  readonly plainHTTP?: boolean;
}

/** One source at work. Whatever is asked of it goes on when nobody waits any more. */
export interface Source {
  readonly name: string;
  /** `<host>/<repository>` that its closures were pushed to; `undefined`: it has NARs, of which our registry makes images. */
  readonly repository: string | undefined;
  /** What closures of several systems are found under together; `undefined`: only registries have names. */
  readonly names: Names | undefined;
  /** See `Resolver.known`. */
  known(roots: readonly StorePath[]): Closure | undefined;
  /** See `Resolver.resolve`. */
  closure(roots: readonly StorePath[], signal: AbortSignal | undefined): Promise<Closure>;
  /** The roots of a closure of which only the hash parts are known. */
  roots(hashes: readonly StoreHash[]): Promise<readonly StorePath[]>;
  /** One path without its closure. */
  lookup(hash: StoreHash): Promise<PathInfo>;
  /** What a path is. */
  type(path: StorePath): Promise<PathType>;
  /** See `Resolver.narLocations`. */
  locate(path: StorePath): Promise<readonly NarLocation[]>;
  /** Ends all connections. */
  close(): Promise<void>;
}

/** The names of a source, see `Resolver.named` and what follows it. */
export interface Names {
  peek(name: ClosureName): NamedImages | undefined;
  find(name: ClosureName): Promise<NamedImages>;
  closure(name: ClosureName, closure: NamedClosure): Promise<ReadClosure>;
}

/** What the sources of one resolver share. */
export interface SourceSurroundings {
  readonly clock: Clock;
  readonly observer: ResolverObserver;
  readonly memory: Memory;
  readonly walks: Walks;
  readonly limits: ResolverLimits;
  /** Bounds the requests under way. */
  readonly slots: Slots;
  readonly timeouts: CacheTimeouts;
  readonly lookup?: LookupFunction | undefined;
}

/** A store path of which only the hash part is known, for messages. */
export function labelOf(hash: StoreHash): string {
  return `${storeDirectory}/${hash}-*`;
}
