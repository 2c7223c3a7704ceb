import type { LookupFunction } from "node:net";
import type { Readable } from "node:stream";
import type { NarInfo } from "../nix/narinfo.ts";
import type { StoreHash } from "../nix/store-path.ts";
import type { Clock } from "./clock.ts";
import type { HttpTimeouts } from "./http-client.ts";
import type { NarLocation, NarPlace } from "./nar-location.ts";
import type { ResolverObserver } from "./observer.ts";
import type { Slots } from "./slots.ts";

/**
 * Largest narinfo (bytes). Real ones have half a kilobyte, and 80 bytes for each reference: this allows for 13 000
 * references, and keeps what 64 requests at a time can hold small.
 */
export const maxNarInfoSize = 1024 * 1024;

/**
 * Largest listing (bytes), of some 10 000 files. A larger one costs more to fetch and to parse, in the one thread
 * that also reviews Pods, than the first bytes of the NAR, which tell the type too.
 */
export const maxListingSize = 1024 * 1024;

/** How long a cache is tried, in milliseconds. */
export interface Patience {
  /** After it no further attempt is begun; one that runs is left to run. */
  readonly all: number;
  /** Of one attempt as a whole: a body that drips is caught by no other limit. */
  readonly attempt: number;
  /** There is something else to do meanwhile, so both are shorter than they could be. */
  readonly hurried: boolean;
}

/** One binary cache. What it answers is not trusted. */
export interface Cache {
  /** Its URL without credentials, for messages and metrics. */
  readonly name: string;
  /**
   * The narinfo of a store path.
   *
   * @param label what it is of, for messages.
   * @param patience for all attempts together.
   * @returns `undefined` if the cache does not have it.
   * @throws cacheUnavailable, cacheInvalidAnswer, cacheAccessDenied, cacheLeadsAway, fileUnreadable
   */
  readNarInfo(hash: StoreHash, label: string, patience: Patience): Promise<Uint8Array | undefined>;
  /** The `.ls` of a store path; else as {@link readNarInfo}. */
  readListing(hash: StoreHash, label: string, patience: Patience): Promise<Uint8Array | undefined>;
  /**
   * Where a NAR is.
   *
   * @throws cacheLeadsAway, fileUnreadable
   */
  locate(info: NarInfo): Promise<NarPlace>;
  /**
   * Opens a NAR; see `openNar`.
   *
   * @param first so many bytes are wanted; there may be more.
   */
  openNar(location: NarLocation, patience: Patience, first?: number): Promise<Readable>;
  /** Ends everything that is under way. */
  close(): Promise<void>;
}

/** Limits of small requests, in milliseconds. */
export interface CacheTimeouts extends HttpTimeouts {
  /** For one attempt as a whole; see {@link Patience}. */
  readonly attempt: number;
  /** For all attempts: room for four pauses of a cache that is overloaded (5, 10, 20 and 40 s). */
  readonly patience: number;
}

/** What caches of one resolver share. */
export interface CacheSurroundings {
  readonly clock: Clock;
  readonly observer: ResolverObserver;
  /** Bounds the requests under way. */
  readonly slots: Slots;
  readonly timeouts: CacheTimeouts;
  readonly lookup?: LookupFunction | undefined;
}
