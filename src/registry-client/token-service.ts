import { registryInvalidAnswer } from "../errors.ts";
import type { Login } from "./credentials.ts";
import { describeErrorAnswer } from "./error-answer.ts";
import type { Exchange, HttpAnswer, HttpRequest } from "./exchange.ts";
import { followLead, type LeadRules } from "./leads.ts";
import { sendFollowing } from "./redirects.ts";
import { transientFailure } from "./transient-answer.ts";

/** Tokens have a few kilobytes; those with many groups of a directory more. */
const maxAnswer = 1024 * 1024;
/** How long a token is good where the service does not say it (seconds; distribution, docs/spec/auth/token.md). */
const defaultLifetime = 60;

export interface TokenRequest {
  /** The service's URL, as the registry wrote it. */
  readonly realm: string;
  readonly service: string | undefined;
  readonly scopes: readonly string[];
  readonly login: Login | undefined;
  readonly doing: string;
}

export interface Token {
  readonly value: string;
  /** Seconds. */
  readonly lifetime: number;
}

/**
 * Gets a token: for a user and password, or for nobody, by GET (distribution, docs/spec/auth/token.md); for an identity
 * token by POST (docs/spec/auth/oauth.md).
 *
 * @returns why not, if the service does not give one.
 * @throws Transient, registryLeadsAway, registryInvalidAnswer
 */
export async function fetchToken(
  exchange: Exchange,
  rules: LeadRules,
  wanted: TokenRequest,
): Promise<Token | { readonly denied: string }> {
  // Refuses a realm without TLS for a registry that has it.
  const realm = followLead(rules, new URL(rules.origin), wanted.realm);
  const identity = wanted.login?.kind === "identity-token" ? wanted.login.token : undefined;
  const shared = { kind: "token", doing: wanted.doing, limit: maxAnswer, slow: false } as const;
  // The credentials are for the realm, wherever it is, and for no host that it leads to: a form with a token in it is
  // not sent on.
  const answer =
    identity === undefined
      ? await sendFollowing(
          exchange,
          { ...rules, origin: realm.origin },
          { ...shared, method: "GET", url: queryUrl(realm, wanted), headers: {} },
          authorizationOf(wanted.login),
        )
      : await exchange.send({ ...shared, method: "POST", url: realm, ...refreshForm(wanted, identity) });
  const failure = transientFailure(answer);
  if (failure !== undefined) throw failure;
  if (answer.status !== 200) return { denied: `its token service: ${describeErrorAnswer(answer)}` };
  return parseToken(rules.name, wanted.doing, answer);
}

function queryUrl(realm: URL, { service, scopes, login }: TokenRequest): URL {
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.append("service", service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  if (login?.kind === "password") url.searchParams.append("account", login.user);
  return url;
}

function authorizationOf(login: Login | undefined): string | undefined {
  return login?.kind === "password" ? basicAuthorization(login.user, login.password) : undefined;
}

function refreshForm(
  { service, scopes }: TokenRequest,
  refreshToken: string,
): Pick<HttpRequest, "headers" | "body"> {
  const form = new URLSearchParams({ grant_type: "refresh_token", client_id: "nix-closure" });
  if (service !== undefined) form.set("service", service);
  form.set("scope", scopes.join(" "));
  form.set("refresh_token", refreshToken);
  return {
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new TextEncoder().encode(form.toString()),
  };
}

function parseToken(name: string, doing: string, { bytes }: HttpAnswer): Token {
  const wrong = (why: string): Error => registryInvalidAnswer(name, doing, `its token service gave ${why}`);
  let fields: Readonly<Record<string, unknown>> | null;
  try {
    fields = JSON.parse(Buffer.from(bytes).toString("utf8")) as typeof fields;
  } catch {
    // The parser's words would show a part of what may be a token.
    throw wrong("something else than JSON");
  }
  const value = fields?.["token"] ?? fields?.["access_token"];
  if (typeof value !== "string" || !/^[\x21-\x7e]+$/.test(value)) throw wrong("no token");
  const lifetime = fields?.["expires_in"];
  const known = typeof lifetime === "number" && lifetime > 0;
  return { value, lifetime: known ? lifetime : defaultLifetime };
}

/** The value of an Authorization header (RFC 7617). */
export function basicAuthorization(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`, "utf8").toString("base64")}`;
}
