/**
 * Where a cache may lead a request: the `URL` of its narinfos and its HTTP redirects. Both are untrusted; without
 * rules a cache could make the webhook ask its own loopback, a cloud's metadata service, or the files of its machine.
 */
import { cacheLeadsAway } from "../errors.ts";
import { withoutSecrets } from "./cache-url.ts";
import { localKindOfAddress, localKindOfHost, type LocalKind } from "../local-address.ts";

/** What decides about a lead. */
export interface LeadRules {
  /** The cache, for messages. */
  readonly cache: string;
  /** Scheme, host and port of the configured URL: always allowed, the admin chose it. */
  readonly origin: string;
}

/** As many redirects are followed in a row; the Fetch standard has 20, mirrors of Nix caches need one or two. */
export const maxRedirects = 5;

/**
 * Resolves a URL that a cache wrote, and checks it by its text. What its host resolves to is checked when the
 * connection is made ({@link refuseAddress}).
 *
 * @param from what a relative URL is relative to: the cache's base, or the URL that redirects.
 * @throws cacheLeadsAway
 */
export function followLead(rules: LeadRules, from: URL, target: string): URL {
  const refuse = (why: string): Error => cacheLeadsAway(rules.cache, withoutSecrets(target), why);
  if (!URL.canParse(target, from.href)) throw refuse("it is not a URL");
  const url = new URL(target, from);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw refuse("a cache on the network may lead to http and https only");
  }
  if (from.protocol === "https:" && url.protocol === "http:") throw refuse("it goes from https to http");
  if (url.username !== "" || url.password !== "") throw refuse("it holds credentials");
  url.hash = "";
  if (url.origin === rules.origin) return url;
  const kind = localKindOfHost(url.hostname);
  if (kind !== undefined && kind !== ownKind(rules)) throw refuse(`it is ${explain(kind)}`);
  return url;
}

/** The error for a name that resolved to an address where a cache may not lead; `undefined` if it may. */
export function refuseAddress(rules: LeadRules, host: string, address: string): Error | undefined {
  const kind = localKindOfAddress(address);
  if (kind === undefined || kind === ownKind(rules)) return undefined;
  const is = host === address ? "it is" : `its address ${address} is`;
  return cacheLeadsAway(rules.cache, host, `${is} ${explain(kind)}`);
}

function ownKind(rules: LeadRules): LocalKind | undefined {
  return localKindOfHost(new URL(rules.origin).hostname);
}

function explain(kind: LocalKind): string {
  return `a ${kind} address, and the cache itself is not at one`;
}
