import { performance } from "node:perf_hooks";

import type { FastifyReply, FastifyRequest } from "fastify";

import type { RegistryObserver } from "./observer.ts";
import { parseRoute, type Route } from "./route.ts";

/** One request and what goes with it. */
export interface Call {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly route: Route;
  /** Aborted when the client goes away before it has its answer. */
  readonly signal: AbortSignal;
  /** Notes bytes of the body that have been handed to the connection. */
  readonly sent: (bytes: number) => void;
}

/** nginx's status for a client that did not wait. */
const clientClosedRequest = 499;

/** Begins a call; the observer hears of it when its connection is done with it. */
export function beginCall(request: FastifyRequest, reply: FastifyReply, observer: RegistryObserver): Call {
  const route = parseRoute(request.url);
  const start = performance.now();
  const gone = new AbortController();
  const isRead = request.method === "GET" || request.method === "HEAD";
  let bytes = 0;
  // "finish" does not come where the client goes away; "close" always does.
  reply.raw.once("close", () => {
    if (!reply.raw.writableEnded) gone.abort();
    observer.request({
      kind: isRead ? route.kind : "other",
      status: reply.raw.headersSent ? reply.raw.statusCode : clientClosedRequest,
      bytes,
      seconds: (performance.now() - start) / 1000,
    });
  });
  reply.header("Docker-Distribution-Api-Version", "registry/2.0").header("X-Content-Type-Options", "nosniff");
  return {
    request,
    reply,
    route,
    signal: gone.signal,
    sent: (count) => {
      bytes += count;
    },
  };
}

/** Answers with `bytes`; with their length alone to HEAD. The media type goes out as it is, without a charset. */
export function answerBytes(call: Call, mediaType: string, bytes: Uint8Array): FastifyReply {
  call.reply.header("Content-Type", mediaType).header("Content-Length", bytes.length);
  if (call.request.method === "HEAD") return call.reply.send();
  call.sent(bytes.length);
  return call.reply.send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

/** Answers with JSON. */
export function answerJson(call: Call, mediaType: string, value: unknown): FastifyReply {
  return answerBytes(call, mediaType, Buffer.from(JSON.stringify(value)));
}
