import type { Readable } from "node:stream";
import { LRUCache } from "lru-cache";
import { narMissing } from "../errors.ts";
import { systemClock } from "./clock.ts";
import { openFileNar } from "./file-nar.ts";
import { HttpClient, type HttpTimeouts } from "./http-client.ts";
import { openHttpNar } from "./http-nar.ts";
import type { NarLocation } from "./nar-location.ts";
import { Retries } from "./retries.ts";

/** How long a NAR may take, in milliseconds. Plain data, so that it can be posted to a worker thread. */
export interface NarLimits extends HttpTimeouts {
  /** How long opening is tried: a node waits for minutes, but there may be another cache. */
  readonly patience: number;
}

/** A cache may have to fetch a NAR itself first, and nobody waits with a deadline of seconds as at admission. */
const usualLimits: NarLimits = { connect: 10_000, headers: 60_000, stall: 60_000, patience: 60_000 };

/** Of each thread, for worker threads cannot share connections. A replica has a handful of caches. */
const clients = new LRUCache<string, { readonly client: HttpClient; readonly retries: Retries }>({
  max: 32,
  dispose: ({ client }) => void client.retire(),
});

const neverAborts = new AbortController().signal;

/**
 * Opens a NAR: its bytes as the cache has them, compressed. Can be used in a worker thread.
 *
 * Not a byte of it is trusted: who reads it checks NarHash, NarSize and, where the location has one, the content
 * address. A stream that breaks off or stalls fails with cacheUnavailable, or with the signal's reason.
 *
 * @throws narMissing if the file is gone, cacheUnavailable after some attempts, cacheAccessDenied,
 * cacheInvalidAnswer, cacheLeadsAway, the signal's reason
 */
export async function openNar(
  location: NarLocation,
  signal: AbortSignal = neverAborts,
  limits: NarLimits = usualLimits,
): Promise<Readable> {
  const opened =
    location.origin === undefined
      ? await openFileNar(location, signal)
      : await openHttpNar(location, {
          ...connectionsOf(location.cache, location.origin, limits),
          patience: {
            all: limits.patience,
            attempt: limits.connect + limits.headers,
            hurried: false,
          },
          signal,
        });
  if (opened === undefined) throw narMissing(location.storePath, location.cache);
  return opened;
}

function connectionsOf(
  cache: string,
  origin: string,
  limits: NarLimits,
): { client: HttpClient; retries: Retries } {
  const key = `${origin} ${cache} ${JSON.stringify(limits)}`;
  const known = clients.get(key);
  if (known !== undefined) return known;
  const made = {
    client: new HttpClient({ cache, origin }, limits),
    retries: new Retries(cache, systemClock),
  };
  clients.set(key, made);
  return made;
}
