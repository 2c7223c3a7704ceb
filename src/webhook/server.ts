import { createServer, type Server } from "node:https";
import { fastify, LogController, type FastifyBaseLogger } from "fastify";
import type { Logger } from "pino";
import { formatBytes, reviewInvalid, toNixClosureError } from "../errors.ts";
import type { Admission } from "./admission.ts";
import { type ConnectionLimits, defaultConnectionLimits } from "./connection-limits.ts";
import { type Answer, isPlainReview, reviewPath, serveReview } from "./review-lane.ts";
import { formatReview, type TextParts } from "./review-text.ts";
import {
  type AdmissionRequest,
  parseReview,
  review,
  reviewAtOnce,
  type Reviewed,
  type ReviewOutcome,
} from "./review.ts";
import type { KeyPair } from "./tls/key-pair.ts";
import { applyKeyPair, tlsOptions, type TlsSettings } from "./tls/server-options.ts";

/** Two objects of 3 MiB each, old and new, and the rest (controller-runtime, pkg/webhook/admission/http.go). */
const maxBodyBytes = 7 * 1024 * 1024;
/** The API server's own default and upper bound of timeoutSeconds (admissionregistration.k8s.io/v1), in seconds. */
const defaultTimeoutSeconds = 10;
const maxTimeoutSeconds = 30;
/** An answer needs some time on its way: so much earlier than the API server's timeout we say what is missing. */
const answerMarginSeconds = 1;
/** What it takes to read a review and to answer it, on a slow core: those that come at once are read one by one, too. */
const answerSeconds = 0.004;

/** Told of reviews. */
export interface ReviewObserver {
  /** One more, or one less, waits for what it needs. */
  waiting(change: 1 | -1): void;
  /** One has its answer. */
  admission(outcome: ReviewOutcome, seconds: number): void;
}

export interface WebhookOptions {
  /** Asked at each request, so that a new configuration takes effect at once. */
  readonly admission: () => Admission;
  readonly keyPair: KeyPair;
  readonly tls: TlsSettings;
  readonly log: Logger;
  readonly observer: ReviewObserver;
  readonly limits?: Partial<ConnectionLimits>;
}

/** The HTTPS server of the webhook. */
export interface WebhookServer {
  readonly app: ReturnType<typeof createApp>;
  /** Serves new connections with another certificate. */
  setKeyPair(pair: KeyPair): void;
}

export function createWebhookServer(options: WebhookOptions): WebhookServer {
  const app = createApp(options);
  return {
    app,
    setKeyPair(pair) {
      applyKeyPair(app.server, pair, options.tls);
    },
  };
}

function createApp(options: WebhookOptions) {
  const { log } = options;
  const loggerInstance: FastifyBaseLogger = log;
  const limits = { ...defaultConnectionLimits, ...options.limits };
  const reviewer = createReviewer(options);
  const answer = (body: string, url: string): Answer | Promise<Answer> => {
    const problem = (error: unknown): Answer => problemOf(error, log);
    try {
      const parts = reviewer(parseJson(body), url, body.length);
      if (!(parts instanceof Promise)) return { status: 200, parts };
      return parts.then((later) => ({ status: 200, parts: later })).catch(problem);
    } catch (error) {
      return problem(error);
    }
  };
  const app = fastify<Server>({
    serverFactory(handler) {
      const server = createServer(
        {
          ...tlsOptions(options.keyPair, options.tls),
          handshakeTimeout: limits.handshake,
          headersTimeout: limits.headers,
          requestTimeout: limits.request,
          keepAliveTimeout: limits.idle,
          connectionsCheckingInterval: limits.interval,
        },
        (request, response) => {
          if (isPlainReview(request)) serveReview(request, response, answer);
          else handler(request, response);
        },
      );
      server.maxConnections = limits.connections;
      return server;
    },
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    // A logger for each request, which nothing here writes to, takes longer than a review.
    childLoggerFactory: (logger) => logger,
    bodyLimit: maxBodyBytes,
    // A Pod may have a label of any name; nothing here assigns members by name.
    onProtoPoisoning: "ignore",
    onConstructorPoisoning: "ignore",
    return503OnClosing: false,
  });

  // The API server sends JSON; Fastify would also take text/plain, as a string.
  app.removeContentTypeParser("text/plain");
  app.post(reviewPath, async (request, reply) => {
    const bodyLength = Number(request.headers["content-length"]);
    const parts = await reviewer(request.body, request.url, bodyLength);
    const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
    await reply.header("content-type", "application/json; charset=utf-8").send(body);
  });
  // In this place, because a method that is wrong is wrong whatever the body is.
  app.addHook("onRequest", async (request, reply) => {
    if (request.method === "POST" || !/^\/mutate(\?|$)/.test(request.url)) return;
    await reply.code(405).header("allow", "POST").send({ message: "POST an AdmissionReview here" });
  });
  app.setNotFoundHandler(async (_request, reply) => {
    await reply.code(404).send({ message: `the webhook is at POST ${reviewPath}` });
  });
  app.setErrorHandler(async (error: unknown, _request, reply) => {
    const { status, parts } = problemOf(error, log);
    await reply.code(status).header("content-type", "application/json; charset=utf-8").send(parts[0]);
  });
  return app;
}

/**
 * Answers a body with the text of an AdmissionReview, at once where it can; of a body of unknown length, NaN, nothing is
 * taken for small.
 */
type Reviewer = (body: unknown, url: string, bodyLength: number) => TextParts | Promise<TextParts>;

function createReviewer({ admission, observer, log }: WebhookOptions): Reviewer {
  let waiting = 0;
  const answer = (started: number, uid: string, { response, patch, outcome }: Reviewed): TextParts => {
    const seconds = (performance.now() - started) / 1000;
    observer.admission(outcome, seconds);
    logReview(log, uid, outcome, seconds);
    return formatReview(response, patch);
  };
  const wait = async (started: number, request: AdmissionRequest, url: string): Promise<TextParts> => {
    const deadline = new AbortController();
    // Not AbortSignal.timeout: its timers live on after the answer, some ten thousand at a time under load.
    const timer = setTimeout(() => deadline.abort(timeIsOver()), timeLimit(timeoutOf(url), waiting));
    waiting++;
    observer.waiting(1);
    const reviewed = await review(request, admission(), deadline.signal);
    observer.waiting(-1);
    waiting--;
    clearTimeout(timer);
    return answer(started, request.uid, reviewed);
  };
  return (body, url, bodyLength) => {
    const started = performance.now();
    const request = parseReview(body);
    const reviewed = reviewAtOnce(request, admission(), maxGrowth * bodyLength);
    return reviewed ? answer(started, request.uid, reviewed) : wait(started, request, url);
  };
}

/**
 * How many bytes of JSON a character of a body becomes at most when it is written anew: a control character six, one
 * that UTF-8 takes three bytes for three, and each of `1e20` five.
 */
const maxGrowth = 6;

/** @throws reviewInvalid */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw reviewInvalid(messageOf(error)).causedBy(error);
  }
}

/** The value of `timeout` in a URL's query. */
function timeoutOf(url: string): string | null {
  const at = url.indexOf("?");
  // What every API server sends.
  if (url.startsWith("timeout=", at + 1) && !url.includes("&")) return url.slice(at + "?timeout=".length);
  return at === -1 ? null : new URLSearchParams(url.slice(at)).get("timeout");
}

/**
 * The time that a review may take, in whole milliseconds: what the API server announces as `?timeout=10s` less a margin
 * for the way back, and for the answers to those that wait already: where a cache hangs, the time of all is over at once.
 */
export function timeLimit(timeout: string | null, waiting: number): number {
  const match = /^([0-9]{1,5}(?:\.[0-9]+)?)(ms|s|m)?$/.exec(timeout ?? "");
  const unit = match?.[2] === "ms" ? 0.001 : match?.[2] === "m" ? 60 : 1;
  const announced = match ? Number(match[1]) * unit : defaultTimeoutSeconds;
  const seconds = Math.min(announced, maxTimeoutSeconds);
  const margin = answerMarginSeconds + waiting * answerSeconds;
  return Math.floor(1000 * Math.max(seconds - margin, seconds / 2));
}

/** As AbortSignal.timeout has it: who waits is told that it was for want of time. */
function timeIsOver(): DOMException {
  return new DOMException("the time for the review is over", "TimeoutError");
}

/** A request that is no review cannot be answered by one: HTTP says what is wrong with it. */
function problemOf(error: unknown, log: Logger): Answer {
  const status = statusOf(error);
  const own = status === undefined ? toNixClosureError(error) : reviewInvalid(messageOf(error));
  if ((status ?? own.status) >= 500) log.error({ err: own }, "request failed");
  return {
    status: status ?? own.status,
    parts: [JSON.stringify({ code: own.code, message: own.toLine() })],
  };
}

function statusOf(error: unknown): number | undefined {
  if (typeof error !== "object" || error === null || !("statusCode" in error)) return undefined;
  return typeof error.statusCode === "number" ? error.statusCode : undefined;
}

/** Fastify's errors in words for who posts reviews. */
const bodyProblems: Readonly<Record<string, string>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "its content type has to be application/json",
  FST_ERR_CTP_BODY_TOO_LARGE: `it may have up to ${formatBytes(maxBodyBytes)}`,
  FST_ERR_CTP_EMPTY_JSON_BODY: "it is empty",
};

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return ("code" in error && bodyProblems[String(error.code)]) || error.message;
}

function logReview(log: Logger, uid: string, outcome: ReviewOutcome, seconds: number): void {
  if (outcome.error === undefined && !log.isLevelEnabled("debug")) return;
  const fields = { uid, outcome: outcome.outcome, reason: outcome.reason, volumes: outcome.volumes, seconds };
  if (outcome.error === undefined) log.debug(fields, "reviewed");
  else if (outcome.outcome === "error") log.error({ ...fields, err: outcome.error }, "review failed");
  else log.info({ ...fields, err: outcome.error }, "denied");
}
