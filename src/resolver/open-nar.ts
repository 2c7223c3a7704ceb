import type { Readable } from "node:stream";
import { LRUCache } from "lru-cache";
import { narMissing } from "../errors.ts";
import { systemClock } from "./clock.ts";
import { openFileNar } from "./file-nar.ts";
import { HttpClient, type HttpTimeouts } from "./http-client.ts";
import { openHttpNar } from "./http-nar.ts";
import type { NarLocation } from "./nar-location.ts";
import { Retries } from "./retries.ts";

/** A cache may have to fetch a NAR itself first, and nobody waits with a deadline of seconds as at admission. */
const timeouts: HttpTimeouts = { connect: 10_000, headers: 60_000, stall: 60_000 };

/** How long opening is tried (milliseconds): a node waits for minutes, but there may be another cache. */
const patience = 60_000;

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
export async function openNar(location: NarLocation, signal: AbortSignal = neverAborts): Promise<Readable> {
  const opened =
    location.origin === undefined
      ? await openFileNar(location, signal)
      : await openHttpNar(location, { ...connectionsOf(location.cache, location.origin), patience, signal });
  if (opened === undefined) throw narMissing(location.storePath, location.cache);
  return opened;
}

function connectionsOf(cache: string, origin: string): { client: HttpClient; retries: Retries } {
  const key = `${origin} ${cache}`;
  const known = clients.get(key);
  if (known !== undefined) return known;
  const made = {
    client: new HttpClient({ cache, origin }, timeouts),
    retries: new Retries(cache, systemClock),
  };
  clients.set(key, made);
  return made;
}
