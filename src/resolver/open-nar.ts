import type { Readable } from "node:stream";
import { narMissing } from "../errors.ts";
import { openFileNar } from "./file-nar.ts";
import type { HttpTimeouts } from "./http-client.ts";
import type { NarLocation } from "./nar-location.ts";

/** How long a NAR may take, in milliseconds. Plain data, so that it can be posted to a worker thread. */
export interface NarLimits extends HttpTimeouts {
  /** How long opening is tried: a node waits for minutes, but there may be another cache. */
  readonly patience: number;
}

/** A cache may have to fetch a NAR itself first, and nobody waits with a deadline of seconds as at admission. */
const usualLimits: NarLimits = { connect: 10_000, headers: 60_000, stall: 60_000, patience: 60_000 };

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
      : await openOverHttp(location, location.origin, signal, limits);
  if (opened === undefined) throw narMissing(location.storePath, location.cache);
  return opened;
}

/** A thread that reads files alone does not load an HTTP client, which has some megabytes. */
async function openOverHttp(
  location: NarLocation,
  origin: string,
  signal: AbortSignal,
  limits: NarLimits,
): Promise<Readable | undefined> {
  const [{ openHttpNar }, { connectionsOf }] = await Promise.all([
    import("./http-nar.ts"),
    import("./nar-clients.ts"),
  ]);
  return openHttpNar(location, {
    ...connectionsOf(location.cache, origin, limits),
    patience: {
      all: limits.patience,
      attempt: limits.connect + limits.headers,
      hurried: false,
    },
    signal,
  });
}
