import type { Dispatcher } from "undici";
import { registryInvalidAnswer, registryRefused, repositoryUnknown } from "../errors.ts";
import { Authorizer } from "./authorizer.ts";
import type { Clock } from "../clock.ts";
import type { CredentialStore } from "./credentials.ts";
import { Deadline, orAborted } from "./deadline.ts";
import { describeErrorAnswer, errorCodes } from "./error-answer.ts";
import { Exchange, type ExchangeOptions, type HttpAnswer } from "./exchange.ts";
import type { LeadRules } from "./leads.ts";
import type { RequestKind } from "./observer.ts";
import { sendFollowing } from "./redirects.ts";
import type { RepositoryEndpoint } from "./registry-address.ts";
import type { RequestBody } from "./request-body.ts";
import { Attempts, type RetryLimits } from "./retries.ts";
import type { Scope } from "./scope.ts";
import { Transient } from "./transient.ts";
import { transientFailure } from "./transient-answer.ts";

/** One request to the registry's API. */
export interface ApiRequest {
  readonly method: Dispatcher.HttpMethod;
  readonly url: URL;
  readonly kind: RequestKind;
  /** What is wanted, in words that follow "when". */
  readonly doing: string;
  /** Whether it needs the right to push. */
  readonly push: boolean;
  /** Another repository that it reads. */
  readonly from?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: RequestBody;
  /** The largest answer that is taken, if it is a success (bytes). Default: 64 KiB. */
  readonly limit?: number;
  /** Statuses that the caller knows what to do with; all others are errors. */
  readonly expected: readonly number[];
  /** Whether the registry may take long to answer. */
  readonly slow?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface ApiOptions extends Omit<ExchangeOptions, "rules"> {
  readonly credentials: CredentialStore;
  readonly access: "pull" | "push";
  readonly retries: RetryLimits;
  readonly clock: Clock;
}

const defaultLimit = 64 * 1024;

/** The API of one repository: sends requests with what the registry wants to see, and again when that may help. */
export class RegistryApi {
  readonly endpoint: RepositoryEndpoint;
  readonly rules: LeadRules;
  readonly #options: ApiOptions;
  readonly #exchange: Exchange;
  readonly #authorizer: Authorizer;
  /** Ends with the first request: it finds out what the registry wants to see, and the others need not. */
  #first: Promise<void> | undefined;

  constructor(endpoint: RepositoryEndpoint, options: ApiOptions) {
    this.endpoint = endpoint;
    this.#options = options;
    this.rules = { name: endpoint.name, origin: endpoint.origin, plainHttp: endpoint.plainHttp };
    this.#exchange = new Exchange({ ...options, rules: this.rules });
    const { credentials, clock } = options;
    this.#authorizer = new Authorizer(endpoint, credentials, this.#exchange, this.rules, clock);
  }

  /** A URL of the API, below the repository's. */
  url(path: string): URL {
    return new URL(`${this.endpoint.origin}/v2/${this.endpoint.repository}/${path}`);
  }

  /** Counts the attempts at something. */
  attempts(doing: string): Attempts {
    return new Attempts(this.endpoint.name, doing, this.#options.retries, this.#options.clock);
  }

  /** What is wrong about an answer. */
  invalid(doing: string, why: string): Error {
    return registryInvalidAnswer(this.endpoint.name, doing, why);
  }

  /** That the registry does not do something. */
  refused(doing: string, answer: HttpAnswer): Error {
    return registryRefused(this.endpoint.name, doing, describeErrorAnswer(answer));
  }

  /**
   * Sends a request until there is an answer.
   *
   * @returns an answer with an expected status.
   * @throws registryUnavailable, registryAccessDenied, registryRefused, registryInvalidAnswer, registryLeadsAway,
   * repositoryUnknown, what the credential store throws, the signal's reason.
   */
  async call(request: ApiRequest): Promise<HttpAnswer> {
    const attempts = this.attempts(request.doing);
    using life = this.life(request.signal);
    for (;;) {
      try {
        return await this.attempt({ ...request, signal: life.signal });
      } catch (error) {
        if (!(error instanceof Transient)) throw error;
        await attempts.failed(error, life.signal);
      }
    }
  }

  /** Aborts when nothing more is to be done for who gave the signal. */
  life(signal: AbortSignal | undefined): Deadline {
    return new Deadline([this.#exchange.ending, signal]);
  }

  /** One attempt; else as {@link call}. @throws also Transient. */
  async attempt(request: ApiRequest & { readonly signal: AbortSignal }): Promise<HttpAnswer> {
    const before = this.#first;
    if (before !== undefined) {
      await orAborted(before, request.signal);
      return this.#attempt(request);
    }
    const done = Promise.withResolvers<void>();
    this.#first = done.promise;
    try {
      return await this.#attempt(request);
    } finally {
      done.resolve();
    }
  }

  /** Ends all requests and connections. */
  async close(): Promise<void> {
    await this.#exchange.close();
  }

  async #attempt(request: ApiRequest & { readonly signal: AbortSignal }): Promise<HttpAnswer> {
    const { headers = {}, limit = defaultLimit, slow = false } = request;
    const sent = { ...request, headers, limit, slow };
    const authorized = { scopes: this.#scopes(request), doing: request.doing };
    const { signal } = request;
    const shown = await this.#authorizer.header(authorized, signal);
    let answer = await sendFollowing(this.#exchange, this.rules, sent, shown);
    if (answer.status === 401 && this.#isOurs(answer)) {
      const another = await this.#authorizer.another(shown, answer, authorized, signal);
      answer = await sendFollowing(this.#exchange, this.rules, sent, another);
    }
    if (request.expected.includes(answer.status)) return answer;
    throw await this.#failure(answer, request, authorized);
  }

  async #failure(
    answer: HttpAnswer,
    request: ApiRequest,
    authorized: { readonly scopes: readonly Scope[]; readonly doing: string },
  ): Promise<Error> {
    const { name } = this.endpoint;
    const why = describeErrorAnswer(answer);
    const transient = transientFailure(answer);
    if (transient !== undefined) return transient;
    if (!this.#isOurs(answer)) return registryRefused(name, request.doing, `${answer.url.host}: ${why}`);
    if (answer.status === 401 || answer.status === 403) return this.#authorizer.denied(why, authorized);
    if (answer.status === 404 && request.push && errorCodes(answer).includes("NAME_UNKNOWN")) {
      return repositoryUnknown(name, request.doing, why);
    }
    return this.refused(request.doing, answer);
  }

  #scopes({ push, from }: ApiRequest): readonly Scope[] {
    const own = { repository: this.endpoint.repository, push: push || this.#options.access === "push" };
    return from === undefined ? [own] : [own, { repository: from, push: false }];
  }

  #isOurs(answer: HttpAnswer): boolean {
    return answer.url.origin === this.endpoint.origin;
  }
}
