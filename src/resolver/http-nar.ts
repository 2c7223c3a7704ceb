import type { Readable } from "node:stream";
import { cacheInvalidAnswer, cacheUnavailable } from "../errors.ts";
import { AttemptTime } from "./attempt-time.ts";
import type { Patience } from "./cache.ts";
import { decodeContent, readableFrom } from "./content-encoding.ts";
import { asTransient, type HttpClient } from "./http-client.ts";
import { httpGet, type HttpFound, type HttpGet } from "./http-get.ts";
import type { NarLocation } from "./nar-location.ts";
import { atPace, TooSlow } from "./pace.ts";
import type { Retries } from "./retries.ts";

/**
 * NARs are compressed already, a second time is of no use. Other codings are named, for a cache that stored them so
 * cannot but send them so.
 */
const narEncodings = "identity, zstd;q=0.5, br;q=0.5, gzip;q=0.5";

export interface HttpNarOptions {
  readonly client: HttpClient;
  readonly retries: Retries;
  /** For opening; reading has to go on at some pace. */
  readonly patience: Patience;
  readonly signal: AbortSignal;
  /** So many of the first bytes are wanted; a cache may give all. */
  readonly first?: number | undefined;
  /** Wraps each attempt. */
  readonly attempt?: (work: () => Promise<HttpFound | undefined>) => Promise<HttpFound | undefined>;
}

/**
 * Opens a NAR behind HTTP, `undefined` if it is not there; opening is tried again as for narinfos, reading is not.
 *
 * Its content encoding is undone whatever the compression, as Nix does: the narinfo tells of the file, the header of
 * its way here.
 *
 * @throws cacheUnavailable, cacheInvalidAnswer, cacheAccessDenied, cacheLeadsAway, the signal's reason
 */
export async function openHttpNar(
  location: NarLocation,
  options: HttpNarOptions,
): Promise<Readable | undefined> {
  const { client, retries, patience, signal, first, attempt = (work) => work() } = options;
  const { cache, storePath, authorization, origin = "" } = location;
  const what = `the NAR of ${storePath}`;
  const url = new URL(location.url);
  const rules = { cache, origin };
  const get = { client, rules, url, what, acceptEncoding: narEncodings, first, authorization };
  const found = await retries.run(what, patience, signal, () =>
    attempt(async () => open(get, patience, signal)),
  );
  if (found === undefined) return undefined;
  return readableFrom(narBytes(found, location, client.timeouts.stall, signal), found.body);
}

/** One attempt; once it is open, the body is bound to the signal alone. */
async function open(
  get: Omit<HttpGet, "signal">,
  patience: Patience,
  signal: AbortSignal,
): Promise<HttpFound | undefined> {
  const time = new AttemptTime(patience.attempt, patience.hurried, signal);
  let found: HttpFound | undefined;
  try {
    found = await httpGet({ ...get, signal: time.signal });
    found?.body.once("close", () => time[Symbol.dispose]());
    return found;
  } finally {
    if (found === undefined) time[Symbol.dispose]();
    else time.stopClock();
  }
}

/** The body without its content encoding; what goes wrong with it is told as an error of the cache. */
async function* narBytes(
  found: HttpFound,
  { cache, storePath }: NarLocation,
  paceWindow: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  // It can break before anybody reads it.
  let broken: unknown = found.body.errored ?? undefined;
  found.body.once("error", (error) => {
    broken = error;
  });
  const what = `the NAR of ${storePath}`;
  try {
    const decoded = decodeContent(found.body, found.encodings) as AsyncIterable<Uint8Array>;
    yield* atPace(decoded, paceWindow);
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    const why = error instanceof Error ? error.message : String(error);
    if (error instanceof TooSlow) throw cacheUnavailable(cache, what, why).causedBy(error);
    if (error !== broken) throw cacheInvalidAnswer(cache, what, why).causedBy(error);
    const failure = asTransient(error, signal);
    throw cacheUnavailable(cache, what, failure instanceof Error ? failure.message : why).causedBy(error);
  }
}
