import { registryAccessDenied } from "../errors.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import type { Clock } from "../clock.ts";
import type { CredentialStore, Login } from "./credentials.ts";
import { orAborted } from "./deadline.ts";
import { describeErrorAnswer } from "./error-answer.ts";
import type { Exchange, HttpAnswer } from "./exchange.ts";
import type { LeadRules } from "./leads.ts";
import type { RepositoryEndpoint } from "./registry-address.ts";
import { covers, type Scope, scopeTexts } from "./scope.ts";
import { basicAuthorization, fetchToken, type TokenRequest } from "./token-service.ts";

/** What wants to be authorized. */
export interface AuthorizedRequest {
  readonly scopes: readonly Scope[];
  /** In words that follow "when". */
  readonly doing: string;
}

/** What a registry asked for. */
type Scheme = { readonly kind: "basic" } | Bearer;

interface Bearer {
  readonly kind: "bearer";
  /** The token service's URL, as the registry wrote it. */
  readonly realm: string;
  readonly service: string | undefined;
}

interface HeldToken {
  readonly scopes: readonly Scope[];
  readonly header: string;
  /** By the clock, milliseconds. */
  readonly until: number;
}

/** Of a token's life so much is used: it must still be good when the registry looks at it. */
const usedLife = 0.9;

/** Knows what a registry wants to see, and keeps the tokens for it. */
export class Authorizer {
  readonly #endpoint: RepositoryEndpoint;
  readonly #credentials: CredentialStore;
  readonly #exchange: Exchange;
  readonly #rules: LeadRules;
  readonly #clock: Clock;
  #scheme: Scheme | undefined;
  /** Of Basic, or a token that the registry takes as it is. */
  #fixed: string | undefined;
  #tokens: readonly HeldToken[] = [];
  readonly #flights = new Map<string, Promise<string>>();

  constructor(
    endpoint: RepositoryEndpoint,
    credentials: CredentialStore,
    exchange: Exchange,
    rules: LeadRules,
    clock: Clock,
  ) {
    this.#endpoint = endpoint;
    this.#credentials = credentials;
    this.#exchange = exchange;
    this.#rules = rules;
    this.#clock = clock;
  }

  /**
   * The Authorization header for a request, `undefined` as long as the registry has not asked for any.
   *
   * @throws registryAccessDenied, Transient, what the credential store throws, the signal's reason.
   */
  async header(request: AuthorizedRequest, signal: AbortSignal): Promise<string | undefined> {
    if (this.#fixed !== undefined || this.#scheme?.kind !== "bearer") return this.#fixed;
    const held = this.#held(request.scopes);
    return held ?? (await this.#newToken(this.#scheme, request, undefined, signal));
  }

  /**
   * Another header, after the registry has refused one with 401.
   *
   * @param shown the header that it refused.
   * @throws registryAccessDenied if there is no other.
   */
  async another(
    shown: string | undefined,
    refusal: HttpAnswer,
    request: AuthorizedRequest,
    signal: AbortSignal,
  ): Promise<string> {
    // Others may have been here before.
    const held = this.#fixed ?? this.#held(request.scopes);
    if (held !== undefined && held !== shown) return held;
    if (this.#fixed === shown) this.#fixed = undefined;
    this.#tokens = this.#tokens.filter(({ header }) => header !== shown);
    const challenges = parseChallenges(refusal.headers["www-authenticate"]);
    const bearer = challenges.find(
      ({ scheme, parameters }) => scheme === "bearer" && parameters.has("realm"),
    );
    if (bearer !== undefined) {
      const scheme = bearerScheme(bearer);
      this.#scheme = scheme;
      return this.#newToken(scheme, request, bearer.parameters.get("scope"), signal);
    }
    if (challenges.some(({ scheme }) => scheme === "basic")) {
      this.#scheme = { kind: "basic" };
      return this.#basic(shown, refusal, request);
    }
    const asked = challenges.map(({ scheme }) => scheme).join(", ");
    const fix =
      asked === ""
        ? "it does not say how to log in"
        : `it asks for ${asked}, but only Basic and Bearer are known here`;
    throw registryAccessDenied(this.#endpoint.name, request.doing, describeErrorAnswer(refusal), fix);
  }

  /** The error for a request that was refused with all that there is to show. */
  async denied(why: string, request: AuthorizedRequest): Promise<Error> {
    return this.#denied(why, request, await this.#login());
  }

  async #basic(shown: string | undefined, refusal: HttpAnswer, request: AuthorizedRequest): Promise<string> {
    const login = await this.#login();
    const header = login === undefined ? undefined : directHeader(login);
    if (header === undefined || header === shown) {
      throw this.#denied(describeErrorAnswer(refusal), request, login);
    }
    this.#fixed = header;
    return header;
  }

  async #newToken(
    scheme: Bearer,
    request: AuthorizedRequest,
    named: string | undefined,
    signal: AbortSignal,
  ): Promise<string> {
    const texts = scopeTexts(request.scopes, named);
    const key = texts.join(" ");
    let flight = this.#flights.get(key);
    if (flight === undefined) {
      // It is for all who wait for it: no signal of one of them ends it.
      flight = this.#fetch(scheme, request, texts).finally(() => this.#flights.delete(key));
      // Those who wait may have gone.
      flight.catch(() => undefined);
      this.#flights.set(key, flight);
    }
    return orAborted(flight, signal);
  }

  async #fetch(
    { realm, service }: Bearer,
    request: AuthorizedRequest,
    scopes: readonly string[],
  ): Promise<string> {
    const login = await this.#login();
    if (login?.kind === "registry-token") {
      this.#fixed = `Bearer ${login.token}`;
      return this.#fixed;
    }
    const asked: TokenRequest = { realm, service, scopes, login, doing: request.doing };
    const token = await fetchToken(this.#exchange, this.#rules, asked);
    if ("denied" in token) throw this.#denied(token.denied, request, login);
    const header = `Bearer ${token.value}`;
    const until = this.#clock.now() + token.lifetime * 1000 * usedLife;
    this.#tokens = [...this.#valid(), { scopes: request.scopes, header, until }];
    return header;
  }

  #held(scopes: readonly Scope[]): string | undefined {
    return this.#valid().find((token) => covers(token.scopes, scopes))?.header;
  }

  #valid(): readonly HeldToken[] {
    const now = this.#clock.now();
    return this.#tokens.filter(({ until }) => now < until);
  }

  async #login(): Promise<Login | undefined> {
    return this.#credentials.find(this.#endpoint.host, this.#endpoint.repository);
  }

  #denied(why: string, { doing, scopes }: AuthorizedRequest, login: Login | undefined): Error {
    const { name, host } = this.#endpoint;
    const { places } = this.#credentials;
    const right = scopes.some(({ push }) => push) ? "push to" : "pull from";
    const fix =
      login !== undefined
        ? `it was shown the credentials of ${login.from}: are they right, and may they ${right} this repository?`
        : places.length === 0
          ? "no credentials are configured for it"
          : `there are no credentials for it in ${places.join(", ")}; log in with "docker login ${host}" or "podman login ${host}"`;
    return registryAccessDenied(name, doing, why, fix);
  }
}

function bearerScheme({ parameters }: Challenge): Bearer {
  return { kind: "bearer", realm: parameters.get("realm") ?? "", service: parameters.get("service") };
}

/** What can be shown without a token service. */
function directHeader(login: Login): string | undefined {
  switch (login.kind) {
    case "password":
      return basicAuthorization(login.user, login.password);
    case "registry-token":
      return `Bearer ${login.token}`;
    case "identity-token":
      return undefined;
  }
}
