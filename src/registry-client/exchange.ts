import type { LookupFunction } from "node:net";
import type { Readable } from "node:stream";
import { type Dispatcher, errors } from "undici";
import { NixClosureError, registryInvalidAnswer, shuttingDown } from "../errors.ts";
import type { Clock } from "../clock.ts";
import { openConnections } from "./connections.ts";
import { Deadline } from "./deadline.ts";
import { maxErrorAnswer } from "./error-answer.ts";
import type { LeadRules } from "./leads.ts";
import type { RequestKind, RequestObserver } from "./observer.ts";
import { type RequestBody, SentBody } from "./request-body.ts";
import { Slots } from "./slots.ts";
import { type RegistryTimeouts, noAnswer } from "./timeouts.ts";
import { networkFailure } from "./transient.ts";

/** One HTTP request, to whatever host. */
export interface HttpRequest {
  readonly method: Dispatcher.HttpMethod;
  readonly url: URL;
  readonly kind: RequestKind;
  /** What is wanted, in words that follow "when". */
  readonly doing: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: RequestBody | undefined;
  /** The largest answer that is taken, if it is a success (bytes). */
  readonly limit: number;
  /** Whether the registry may take long to answer. */
  readonly slow: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** All of the body; of an error only its first 64 KiB. */
  readonly bytes: Uint8Array;
  /** That was asked. */
  readonly url: URL;
}

export interface ExchangeOptions {
  readonly rules: LeadRules;
  readonly caFile?: string | undefined;
  readonly connections: number;
  readonly timeouts: RegistryTimeouts;
  readonly userAgent: string;
  readonly signal?: AbortSignal | undefined;
  readonly onRequest?: RequestObserver | undefined;
  readonly clock: Clock;
  readonly lookup?: LookupFunction | undefined;
}

/** Sends single requests, and tells the observer of them. */
export class Exchange {
  readonly #options: ExchangeOptions;
  readonly #dispatcher: Dispatcher;
  readonly #closing = new AbortController();
  readonly #ending: Deadline;
  /** A request that undici queues would lose its time there. */
  readonly #slots: Slots;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.#ending = new Deadline([this.#closing.signal, options.signal]);
    this.#slots = new Slots(options.connections);
    this.#dispatcher = openConnections({ ...options, connectTimeout: options.timeouts.connect });
  }

  /** Aborts with the reason why nothing more is sent. */
  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  /**
   * Sends a request and reads the answer, whatever its status.
   *
   * @throws Transient if there is no whole answer, registryLeadsAway, registryInvalidAnswer for one that is too large,
   * fileUnreadable, what the body's source fails with, the signal's reason.
   */
  async send(request: HttpRequest): Promise<HttpAnswer> {
    const release = await this.#slots.enter();
    try {
      using deadline = new Deadline([this.ending, request.signal]);
      deadline.signal.throwIfAborted();
      return await this.#send(request, deadline);
    } finally {
      release();
    }
  }

  /** Ends all requests and connections. */
  async close(): Promise<void> {
    this.#closing.abort(shuttingDown());
    this.#ending[Symbol.dispose]();
    await this.#dispatcher.destroy();
  }

  async #send(request: HttpRequest, deadline: Deadline): Promise<HttpAnswer> {
    const { clock, timeouts, onRequest } = this.#options;
    const started = clock.now();
    const body = new SentBody(request.body, deadline, timeouts, request.slow);
    const seen = { status: undefined as number | undefined, received: 0 };
    try {
      return await this.#exchange(request, body, deadline, seen);
    } catch (error) {
      throw body.failure ?? whyFailed(error, deadline.signal);
    } finally {
      body.close();
      onRequest?.({
        method: request.method,
        kind: request.kind,
        host: request.url.host,
        status: seen.status,
        sent: body.sent,
        received: seen.received,
        seconds: (clock.now() - started) / 1000,
      });
    }
  }

  async #exchange(
    request: HttpRequest,
    body: SentBody,
    deadline: Deadline,
    seen: { status: number | undefined; received: number },
  ): Promise<HttpAnswer> {
    const { timeouts, userAgent } = this.#options;
    const { method, url } = request;
    const answer = await this.#dispatcher.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method,
      headers: { "user-agent": userAgent, ...request.headers, ...body.headers },
      // It takes whatever can be iterated, other than its types say.
      body: body.content as Readable | Uint8Array | null,
      signal: deadline.signal,
      // The deadline knows whether it is the registry or the source of the body that is slow.
      headersTimeout: 0,
      bodyTimeout: timeouts.stall,
    });
    seen.status = answer.statusCode;
    // Left before its end, it tells so by an error that is nobody's.
    answer.body.on("error", () => undefined);
    deadline.set(timeouts.attempt, () => noAnswer(timeouts.attempt));
    const success = answer.statusCode < 300;
    const limit = success ? request.limit : maxErrorAnswer;
    const chunks: Uint8Array[] = [];
    for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
      seen.received += chunk.length;
      if (seen.received > limit) {
        if (!success) break;
        const why = `it has more than ${limit} bytes, the limit`;
        throw registryInvalidAnswer(this.#options.rules.name, request.doing, why);
      }
      chunks.push(chunk);
    }
    return { status: answer.statusCode, headers: answer.headers, bytes: Buffer.concat(chunks), url };
  }
}

function whyFailed(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  // A request that cannot be sent at all will be no other the next time.
  const ours = error instanceof NixClosureError || error instanceof errors.InvalidArgumentError;
  return ours ? error : networkFailure(error);
}
