import type { IncomingMessage, ServerResponse } from "node:http";
import type { TextParts } from "./review-text.ts";

/** The path that reviews are posted to. */
export const reviewPath = "/mutate";

/** Longer bodies, which no usual Pod has, are read by Fastify. */
const maxBytes = 256 * 1024;

/** An answer that is on its way: what to send, with which status. */
export interface Answer {
  readonly status: number;
  /** JSON. */
  readonly parts: TextParts;
}

/** Whether a request is one as API servers send them: JSON of a known length in one piece, and not long. */
export function isPlainReview({ method, url = "", rawHeaders }: IncomingMessage): boolean {
  if (method !== "POST" || !url.startsWith(reviewPath)) return false;
  if (url.length > reviewPath.length && url[reviewPath.length] !== "?") return false;
  let length = 0;
  let isJson = false;
  // Not request.headers, which is made of these when it is first read, in a tenth of a review's time.
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]?.toLowerCase();
    const value = rawHeaders[i + 1];
    if (name === "content-length") length = Number(value);
    else if (name === "content-type") isJson = value === "application/json";
    else if (name === "transfer-encoding" || name === "expect") return false;
  }
  return isJson && length > 0 && length <= maxBytes;
}

/**
 * The short way from such a request to its answer. Routing, hooks and parsing by content type take Fastify as long as
 * all of the review; everything that is not a plain review goes through it.
 *
 * @param answer never throws and never rejects.
 */
export function serveReview(
  request: IncomingMessage,
  response: ServerResponse,
  answer: (body: string, url: string) => Answer | Promise<Answer>,
): void {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  // Of a request that breaks off there is no end, and nobody to answer.
  request.on("end", () => {
    const [only] = chunks;
    const body = only !== undefined && chunks.length === 1 ? only : Buffer.concat(chunks);
    const found = answer(body.toString(), request.url ?? "");
    if (found instanceof Promise) void found.then((later) => send(response, later));
    else sendSoon(response, found);
  });
}

let unsent: [ServerResponse, Answer][] = [];

/**
 * Sends an answer with all others to what was read from sockets in the same turn of the event loop: to review many and
 * then to write many takes a third less time than turn by turn, because a processor's caches hold either but not both.
 */
function sendSoon(response: ServerResponse, answer: Answer): void {
  if (unsent.push([response, answer]) > 1) return;
  setImmediate(() => {
    const ready = unsent;
    unsent = [];
    for (const [one, its] of ready) send(one, its);
  });
}

function send(response: ServerResponse, { status, parts }: Answer): void {
  let length = 0;
  for (const part of parts) length += Buffer.byteLength(part);
  const headers = { "content-type": "application/json; charset=utf-8", "content-length": length };
  response.writeHead(status, headers);
  for (const part of parts.slice(0, -1)) response.write(part);
  response.end(parts.at(-1));
}
