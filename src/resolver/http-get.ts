import { cacheAccessDenied, cacheInvalidAnswer, cacheLeadsAway } from "../errors.ts";
import { retryAfter } from "../retry-after.ts";
import { withoutSecrets } from "./cache-url.ts";
import type { HttpAnswer, HttpBody, HttpClient } from "./http-client.ts";
import { followLead, maxRedirects, type LeadRules } from "./leads.ts";
import { Transient } from "./transient.ts";

export interface HttpGet {
  readonly client: HttpClient;
  readonly rules: LeadRules;
  readonly url: URL;
  /** What is asked for, for messages. */
  readonly what: string;
  readonly acceptEncoding: string;
  /** So many of the first bytes are wanted; a cache may give all. */
  readonly first?: number | undefined;
  /** Sent only as long as the request stays on the cache's own origin. */
  readonly authorization?: string | undefined;
  readonly signal: AbortSignal;
}

export interface HttpFound {
  readonly body: HttpBody;
  /** Content-Encoding, in the order that they were applied; lower case. */
  readonly encodings: readonly string[];
}

/** A bucket that may not be listed answers 403 for what it does not have (Nix, src/libstore/filetransfer.cc). */
const missing = new Set([403, 404, 410]);
const denied = new Set([401, 407]);
const redirects = new Set([301, 302, 303, 307, 308]);
/** Server errors that will be the same next time: a method or an HTTP version that it lacks, a captive portal (as Nix). */
const permanent = new Set([501, 505, 511]);

/**
 * One attempt to get something from a cache; redirects are followed by our rules.
 *
 * @returns `undefined` if the cache does not have it.
 * @throws Transient, cacheAccessDenied, cacheInvalidAnswer, cacheLeadsAway, the signal's reason
 */
export async function httpGet(get: HttpGet): Promise<HttpFound | undefined> {
  const { client, rules, what, signal } = get;
  const visited = new Set<string>();
  let url = get.url;
  let authorization = get.authorization;
  for (;;) {
    // Once away, it stays away: another host could send us back with a URL of its choice.
    if (url.origin !== rules.origin) authorization = undefined;
    visited.add(url.href);
    const answer = await client.get(url, requestHeaders(get, authorization), signal);
    if (answer.status === 200 || isStart(answer, get.first)) {
      return { body: answer.body, encodings: encodingsOf(answer) };
    }
    discard(answer.body);
    if (missing.has(answer.status)) return undefined;
    const location = answer.headers["location"];
    if (!redirects.has(answer.status) || typeof location !== "string") throw failure(rules, what, answer);
    url = followLead(rules, url, location);
    const target = withoutSecrets(url.href);
    if (visited.has(url.href)) throw cacheLeadsAway(rules.cache, target, "the redirects go in a circle");
    if (visited.size > maxRedirects) {
      throw cacheLeadsAway(rules.cache, target, `that is more than ${maxRedirects} redirects in a row`);
    }
  }
}

/** Whether an answer has the first bytes that were asked for (RFC 9110, 15.3.7). */
function isStart({ status, headers }: HttpAnswer, first: number | undefined): boolean {
  return status === 206 && first !== undefined && String(headers["content-range"]).startsWith("bytes 0-");
}

function requestHeaders(
  { acceptEncoding, first }: HttpGet,
  authorization: string | undefined,
): Record<string, string> {
  return {
    "user-agent": "nix-closure",
    "accept-encoding": acceptEncoding,
    ...(first !== undefined && { range: `bytes=0-${first - 1}` }),
    ...(authorization === undefined ? {} : { authorization }),
  };
}

/** Reads what is left if it is little, so that the connection can be used again; else ends it. */
function discard(body: HttpBody): void {
  body.on("error", () => undefined);
  void body.dump({ limit: 64 * 1024 }).catch(() => undefined);
}

function failure(rules: LeadRules, what: string, answer: HttpAnswer): Error {
  const { status } = answer;
  if (denied.has(status)) return cacheAccessDenied(rules.cache, status);
  const retried = status === 408 || status === 429 || (status >= 500 && !permanent.has(status));
  if (!retried) return cacheInvalidAnswer(rules.cache, what, `HTTP ${status}`);
  const overloaded = status === 429 || status === 503;
  return new Transient(`HTTP ${status}`, { overloaded, retryAfter: retryAfter(answer.headers) });
}

function encodingsOf(answer: HttpAnswer): readonly string[] {
  return [answer.headers["content-encoding"] ?? []]
    .flat()
    .flatMap((value) => value.split(","))
    .map((value) => value.trim().toLowerCase())
    .filter((value) => value !== "" && value !== "identity" && value !== "none");
}
