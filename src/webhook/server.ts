import type { Server, ServerOptions } from "node:https";
import { fastify, LogController, type FastifyBaseLogger, type FastifyReply } from "fastify";
import type { Logger } from "pino";
import { formatBytes, reviewInvalid, toNixClosureError } from "../errors.ts";
import type { Admission } from "./admission.ts";
import { parseReview, review, type AdmissionResponse, type ReviewOutcome } from "./review.ts";
import type { KeyPair } from "./tls/key-pair.ts";
import { applyKeyPair, tlsOptions, type TlsSettings } from "./tls/server-options.ts";

/** Two objects of 3 MiB each, old and new, and the rest (controller-runtime, pkg/webhook/admission/http.go). */
const maxBodyBytes = 7 * 1024 * 1024;
/** The API server's own default and upper bound of timeoutSeconds (admissionregistration.k8s.io/v1), in seconds. */
const defaultTimeoutSeconds = 10;
const maxTimeoutSeconds = 30;
/** An answer needs some time on its way: so much earlier than the API server's timeout we say what is missing. */
const answerMarginSeconds = 1;

/** Told of each review: once when it comes in, once when it has its answer. */
export interface ReviewObserver {
  admissionStarted(): void;
  admission(event: ReviewOutcome & { readonly seconds: number }): void;
}

export interface WebhookOptions {
  /** Asked at each request, so that a new configuration takes effect at once. */
  readonly admission: () => Admission;
  readonly keyPair: KeyPair;
  readonly tls: TlsSettings;
  readonly log: Logger;
  readonly observer: ReviewObserver;
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
  const { log, observer } = options;
  const loggerInstance: FastifyBaseLogger = log;
  // net/http's and controller-runtime's values: handshake 10 s, headers 32 s, idle connections 90 s.
  const https: ServerOptions = {
    ...tlsOptions(options.keyPair, options.tls),
    handshakeTimeout: 10_000,
    headersTimeout: 32_000,
  };
  const app = fastify<Server>({
    https,
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: maxBodyBytes,
    // A Pod may have a label of any name; nothing here assigns members by name.
    onProtoPoisoning: "ignore",
    onConstructorPoisoning: "ignore",
    keepAliveTimeout: 90_000,
    requestTimeout: 60_000,
    return503OnClosing: false,
  });

  // The API server sends JSON; Fastify would also take text/plain, as a string.
  app.removeContentTypeParser("text/plain");
  app.post("/mutate", async (request, reply) => {
    const started = performance.now();
    const admissionRequest = parseReview(request.body);
    const signal = AbortSignal.timeout(timeLimit(request.query));
    observer.admissionStarted();
    const { response, outcome } = await review(admissionRequest, options.admission(), signal);
    const seconds = (performance.now() - started) / 1000;
    observer.admission({ ...outcome, seconds });
    logReview(log, admissionRequest.uid, outcome, seconds);
    await reply.send(reviewOf(response));
  });
  // In this place, because a method that is wrong is wrong whatever the body is.
  app.addHook("onRequest", async (request, reply) => {
    if (request.method === "POST" || !/^\/mutate(\?|$)/.test(request.url)) return;
    await reply.code(405).header("allow", "POST").send({ message: "POST an AdmissionReview here" });
  });
  app.setNotFoundHandler(async (_request, reply) => {
    await reply.code(404).send({ message: "the webhook is at POST /mutate" });
  });
  app.setErrorHandler(async (error: unknown, _request, reply) => answerError(error, reply, log));
  return app;
}

/**
 * The time that a review may take, in whole milliseconds: what the API server announces as `?timeout=10s` less a margin
 * for the way back.
 */
export function timeLimit(query: unknown): number {
  const timeout =
    typeof query === "object" && query !== null && "timeout" in query ? query.timeout : undefined;
  const match = /^([0-9]{1,5}(?:\.[0-9]+)?)(ms|s|m)?$/.exec(typeof timeout === "string" ? timeout : "");
  const unit = match?.[2] === "ms" ? 0.001 : match?.[2] === "m" ? 60 : 1;
  const announced = match ? Number(match[1]) * unit : defaultTimeoutSeconds;
  const seconds = Math.min(announced, maxTimeoutSeconds);
  return Math.floor(1000 * Math.max(seconds - answerMarginSeconds, seconds / 2));
}

function reviewOf(response: AdmissionResponse): object {
  return { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", response };
}

/** A request that is no review cannot be answered by one: HTTP says what is wrong with it. */
async function answerError(error: unknown, reply: FastifyReply, log: Logger): Promise<void> {
  const status = statusOf(error);
  const own = status === undefined ? toNixClosureError(error) : reviewInvalid(messageOf(error));
  if ((status ?? own.status) >= 500) log.error({ err: own }, "request failed");
  await reply.code(status ?? own.status).send({ code: own.code, message: own.toLine() });
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
  const fields = { uid, outcome: outcome.outcome, reason: outcome.reason, volumes: outcome.volumes, seconds };
  if (outcome.error === undefined) log.debug(fields, "reviewed");
  else if (outcome.outcome === "error") log.error({ ...fields, err: outcome.error }, "review failed");
  else log.info({ ...fields, err: outcome.error }, "denied");
}
