import { once } from "node:events";
import type { OutgoingHttpHeaders } from "node:http";
import { pipeline } from "node:stream/promises";

import type { FastifyReply } from "fastify";

import type { Images, OpenBlob } from "../image/images.ts";
import type { Digest } from "../oci/digest.ts";
import { type ByteRange, parseRange } from "./byte-range.ts";
import type { Call } from "./call.ts";
import { entityTag, isKnownToClient, rangeApplies } from "./conditions.ts";
import { ExactLength } from "./exact-length.ts";
import { ProtocolError, protocolErrors } from "./protocol-error.ts";
import { requireDigest, requireRepository } from "./route.ts";

/**
 * A blob by digest, whole or a range of it.
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-blobs
 */
export async function answerBlob(images: Images, call: Call): Promise<FastifyReply> {
  const repository = requireRepository(call.route);
  const digest = requireDigest(call.route);
  const blob = digest === undefined ? undefined : await images.blob(repository, digest);
  if (digest === undefined || blob === undefined) {
    throw new ProtocolError(protocolErrors.blobUnknown, { detail: { digest: call.route.last } });
  }
  try {
    return await answerOpenBlob(call, digest, blob);
  } finally {
    await blob.close();
  }
}

async function answerOpenBlob(call: Call, digest: Digest, blob: OpenBlob): Promise<FastifyReply> {
  const { request, reply } = call;
  const { headers } = request;
  reply
    .header("Docker-Content-Digest", digest)
    .header("ETag", entityTag(digest))
    .header("Accept-Ranges", "bytes");
  if (isKnownToClient(headers["if-none-match"], digest)) return reply.code(304).send();

  // A range has a meaning for GET alone: RFC 9110 section 14.2.
  if (request.method === "HEAD") return reply.headers(bodyHeaders(blob.size)).send();
  const range = rangeApplies(headers["if-range"], digest) ? parseRange(headers.range, blob.size) : undefined;
  if (range === "unsatisfiable") {
    throw new ProtocolError(protocolErrors.rangeUnsatisfiable, {
      detail: { size: blob.size },
      headers: { "Content-Range": `bytes */${blob.size}` },
    });
  }
  await sendBody(call, blob, range);
  return reply;
}

function bodyHeaders(length: number): Record<string, string> {
  return { "Content-Type": "application/octet-stream", "Content-Length": String(length) };
}

/**
 * Sends a blob at the client's pace. What fails before the first byte is an error in words; later on the connection
 * is torn down, so that the client cannot take what it has for the whole.
 */
async function sendBody(call: Call, blob: OpenBlob, range: ByteRange | undefined): Promise<void> {
  const { reply, signal } = call;
  const length = range === undefined ? blob.size : range.end - range.start + 1;
  const body = new ExactLength(length, call.sent);
  // An error in reading destroys `body` with it, which is where it is waited for.
  const reading = pipeline(blob.read(range), body, { signal }).catch(() => {});
  try {
    await once(body, "readable");
    reply.hijack();
    reply.raw.writeHead(range === undefined ? 200 : 206, {
      ...(reply.getHeaders() as OutgoingHttpHeaders),
      ...bodyHeaders(length),
      ...(range !== undefined && { "Content-Range": `bytes ${range.start}-${range.end}/${blob.size}` }),
    });
    await pipeline(body, (chunks: AsyncIterable<Buffer>) => sendChunks(chunks, blob, call)).catch(
      (error: unknown) => noteBrokenBody(call, error),
    );
  } finally {
    body.destroy();
    await reading;
  }
}

/** Sends one chunk after the other, and gives each back when the kernel has it. */
async function sendChunks(chunks: AsyncIterable<Buffer>, blob: OpenBlob, call: Call): Promise<void> {
  const { signal } = call;
  const to = call.reply.raw;
  let stop: (reason: unknown) => void = () => {};
  const onAbort = (): void => stop(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    for await (const chunk of chunks) {
      signal.throwIfAborted();
      await new Promise<void>((resolve, reject) => {
        // Of an answer that waits for another one on its connection, nothing is heard when that ends.
        stop = reject;
        to.write(chunk, (error) => (error ? reject(error) : resolve()));
      });
      blob.reuse?.(chunk);
    }
    to.end();
  } catch (error) {
    to.destroy();
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function noteBrokenBody(call: Call, error: unknown): void {
  const { request, route, signal } = call;
  if (signal.aborted)
    request.log.debug({ digest: route.last }, "the client went away before the end of the blob");
  else request.log.error({ digest: route.last, err: error }, "the blob broke off");
}
