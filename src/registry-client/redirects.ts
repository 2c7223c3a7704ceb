import { registryInvalidAnswer, registryLeadsAway } from "../errors.ts";
import type { Exchange, HttpAnswer, HttpRequest } from "./exchange.ts";
import { followLead, type LeadRules, withoutSecrets } from "./leads.ts";

/** Blobs are redirected once, to an object store; a registry may have moved besides. */
const maxRedirects = 5;

/** After 301, 302 and 303 clients disagree whether what is not a GET is sent again as it was. */
const redirects: Readonly<Record<number, "any" | "read" | undefined>> = {
  301: "read",
  302: "read",
  303: "read",
  307: "any",
  308: "any",
};

/**
 * Sends a request, and follows redirects.
 *
 * @param authorization sent only as long as the request stays on the registry's own origin; once away it stays away,
 * for another host could send us back with a URL of its choice.
 * @throws registryLeadsAway, registryInvalidAnswer, what `Exchange.send` throws.
 */
export async function sendFollowing(
  exchange: Exchange,
  rules: LeadRules,
  request: HttpRequest,
  authorization: string | undefined,
): Promise<HttpAnswer> {
  let shown = authorization;
  let { url } = request;
  const visited = new Set<string>();
  for (;;) {
    if (url.origin !== rules.origin) shown = undefined;
    visited.add(url.href);
    const headers = shown === undefined ? request.headers : { ...request.headers, authorization: shown };
    const answer = await exchange.send({ ...request, url, headers });
    const kind = redirects[answer.status];
    const reads = request.method === "GET" || request.method === "HEAD";
    if (kind === undefined || (kind === "read" && !reads)) return answer;
    const { location } = answer.headers;
    if (typeof location !== "string") {
      throw registryInvalidAnswer(rules.name, request.doing, `HTTP ${answer.status} without a Location`);
    }
    url = followLead(rules, url, location);
    const refuse = (why: string): Error => registryLeadsAway(rules.name, withoutSecrets(url.href), why);
    if (visited.has(url.href)) throw refuse("the redirects go in a circle");
    if (visited.size > maxRedirects) throw refuse(`that is more than ${maxRedirects} redirects in a row`);
  }
}
