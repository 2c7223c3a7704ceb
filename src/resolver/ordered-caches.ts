import type { Readable } from "node:stream";
import { NixClosureError, toNixClosureError } from "../errors.ts";
import type { ContentAddress } from "../nix/content-address.ts";
import type { PublicKey } from "../nix/signature.ts";
import { storeHash, type StoreHash } from "../nix/store-path.ts";
import { acceptNarInfo, type AcceptedPath } from "./acceptance.ts";
import type { Cache, Patience } from "./cache.ts";
import type { KnownPath } from "./memory.ts";
import type { NarLocation } from "./nar-location.ts";

/**
 * How long a cache is tried again (milliseconds) when there is something else to do: five attempts at a connection
 * that is refused take 1.5 s, and a cache that asks for a pause of 5 s is left alone. One attempt may take twice as
 * long: within the 9 s that a review has, the next cache must have its chance when this one hangs.
 */
const shortPatience = 2_000;
const shortAttempt = 4_000;

/** The caches of one source, asked in their order until one has an answer that can be accepted. */
export class OrderedCaches {
  readonly #caches: readonly Cache[];
  readonly #keys: readonly PublicKey[];
  readonly #patience: Patience;
  readonly #hurry: Patience;

  /** @param limits milliseconds for one and for all attempts at a cache, when there is none left beside it. */
  constructor(
    caches: readonly Cache[],
    keys: readonly PublicKey[],
    limits: { readonly attempt: number; readonly patience: number },
  ) {
    this.#caches = caches;
    this.#keys = keys;
    this.#patience = { all: limits.patience, attempt: limits.attempt, hurried: false };
    this.#hurry = {
      all: Math.min(shortPatience, limits.patience),
      attempt: Math.min(shortAttempt, limits.attempt),
      hurried: true,
    };
  }

  get names(): readonly string[] {
    return this.#caches.map(({ name }) => name);
  }

  /**
   * Finds a path.
   *
   * @param label what it is, for messages.
   * @param dispensable the caller has something to go on with, so no cache is waited for.
   * @returns `undefined` if every cache answered that it does not have it.
   * @throws the error of a cache that could not be asked, if any: it may have the path. Else that of the first cache
   * whose answer could not be accepted.
   */
  async find(hash: StoreHash, label: string, dispensable: boolean): Promise<KnownPath | undefined> {
    const failures = new Map<number, NixClosureError>();
    const last = this.#caches.length - 1;
    for (const [index] of this.#caches.entries()) {
      const patience = index < last || dispensable ? this.#hurry : this.#patience;
      const found = await this.#ask(index, hash, label, patience, failures);
      if (found !== undefined) return found;
    }
    // Those that were left early are tried again with all patience, now that no other has it.
    for (const [index, failure] of Array.from(failures)) {
      if (index === last || dispensable || !failure.temporary) continue;
      failures.delete(index);
      const found = await this.#ask(index, hash, label, this.#patience, failures);
      if (found !== undefined) return found;
    }
    const all = [...failures.values()];
    const worst = all.find((failure) => failure.temporary) ?? all[0];
    if (worst === undefined) return undefined;
    throw all.length === 1 ? worst : worst.causedBy(new AggregateError(all));
  }

  /**
   * Where the NAR is: in the cache that answered first, then in the others that have the same path with the same
   * NarHash. Those are a reserve, so one that does not answer is left out.
   */
  async locate(known: KnownPath): Promise<readonly NarLocation[]> {
    const [first, reserve] = await Promise.all([
      this.locateFirst(known).catch(toNixClosureError),
      this.locateReserve(known),
    ]);
    if (!(first instanceof NixClosureError)) return [first, ...reserve];
    if (reserve.length === 0) throw first;
    return reserve;
  }

  /** Where it is in the cache that answered first. */
  async locateFirst(known: KnownPath): Promise<NarLocation> {
    return locateIn(this.#cacheOf(known), known);
  }

  /** Where it is in the other caches. */
  async locateReserve(known: KnownPath): Promise<readonly NarLocation[]> {
    const others = this.#caches.filter((_, index) => index !== known.cache);
    const found = await Promise.all(others.map(async (cache) => this.#locateAgain(cache, known)));
    return found.filter((location) => location !== undefined);
  }

  /** The listing from the cache that has the path; a cache that has trouble is not waited for, there is the NAR. */
  async readListing(known: KnownPath): Promise<Uint8Array | undefined> {
    const { storePath } = known.info;
    return this.#cacheOf(known).readListing(storeHash(storePath), storePath, this.#hurry);
  }

  /**
   * @param hurried there is another location.
   * @param first so many bytes are wanted; there may be more.
   */
  async openNar(location: NarLocation, hurried: boolean, first?: number): Promise<Readable> {
    const cache = this.#caches.find(({ name }) => name === location.cache);
    if (cache === undefined) throw new Error(`no cache ${location.cache}`);
    return cache.openNar(location, hurried ? this.#hurry : this.#patience, first);
  }

  /** Milliseconds in which the start of a NAR must be there. */
  startTime(hurried: boolean): number {
    return (hurried ? this.#hurry : this.#patience).attempt;
  }

  get count(): number {
    return this.#caches.length;
  }

  async close(): Promise<void> {
    await Promise.all(this.#caches.map(async (cache) => cache.close()));
  }

  async #ask(
    index: number,
    hash: StoreHash,
    label: string,
    patience: Patience,
    failures: Map<number, NixClosureError>,
  ): Promise<KnownPath | undefined> {
    const cache = this.#caches[index];
    if (cache === undefined) return undefined;
    try {
      const bytes = await cache.readNarInfo(hash, label, patience);
      if (bytes === undefined) return undefined;
      return { ...acceptNarInfo(bytes, { cache: cache.name, hash, label }, this.#keys), cache: index };
    } catch (error) {
      failures.set(index, toNixClosureError(error));
      return undefined;
    }
  }

  /**
   * Where a further cache has the same NAR; a failure is as good as nothing. Of a path without a signature the content
   * address decides: its NarHash is the mere word of the cache that was asked first, which may have lied.
   */
  async #locateAgain(cache: Cache, known: KnownPath): Promise<NarLocation | undefined> {
    const { storePath, narHash } = known.info;
    const asked = { cache: cache.name, hash: storeHash(storePath), label: storePath };
    try {
      const bytes = await cache.readNarInfo(asked.hash, storePath, this.#hurry);
      if (bytes === undefined) return undefined;
      const accepted = acceptNarInfo(bytes, asked, this.#keys);
      if (accepted.info.storePath !== storePath) return undefined;
      if (!known.signed) return await locateIn(cache, accepted, known.info.contentAddress);
      return accepted.info.narHash === narHash ? await locateIn(cache, accepted) : undefined;
    } catch (error) {
      if (error instanceof NixClosureError) return undefined;
      throw error;
    }
  }

  #cacheOf(known: KnownPath): Cache {
    const cache = this.#caches[known.cache];
    if (cache === undefined) throw new Error(`no cache ${known.cache}`);
    return cache;
  }
}

/** @param address what the content has to fit, for the lack of a signature. */
async function locateIn(
  cache: Cache,
  { info, signed }: AcceptedPath,
  address: ContentAddress | undefined = signed ? undefined : info.contentAddress,
): Promise<NarLocation> {
  const place = await cache.locate(info);
  const { storePath, compression, narHash, narSize } = info;
  const proof = address === undefined ? {} : { contentAddress: address.text };
  return { ...place, cache: cache.name, storePath, compression, narHash, narSize, ...proof };
}
