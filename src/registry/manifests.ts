import type { FastifyReply } from "fastify";

import type { Document } from "../oci/documents.ts";
import { isTag } from "../oci/reference.ts";
import type { Backend } from "./backend.ts";
import { answerBytes, type Call } from "./call.ts";
import { entityTag, isKnownToClient } from "./conditions.ts";
import { ProtocolError, protocolErrors } from "./protocol-error.ts";
import { requireDigest, requireRepository, shortened } from "./route.ts";

/**
 * A manifest or index by tag or digest. Accept is not looked at: there is one form, which every client takes.
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
 */
export async function answerManifest(backend: Backend, call: Call): Promise<FastifyReply> {
  const document = await findDocument(backend, call);
  call.reply.header("Docker-Content-Digest", document.digest).header("ETag", entityTag(document.digest));
  if (isKnownToClient(call.request.headers["if-none-match"], document.digest))
    return call.reply.code(304).send();
  return answerBytes(call, document.mediaType, document.bytes);
}

async function findDocument(backend: Backend, call: Call): Promise<Document> {
  const { route } = call;
  const { images } = backend;
  const repository = requireRepository(route);
  if (!route.last.includes(":")) {
    if (isTag(route.last)) return resolveTag(backend, call, repository);
    throw new ProtocolError(protocolErrors.tagInvalid, { detail: { tag: shortened(route.last) } });
  }
  const digest = requireDigest(route);
  const document = digest === undefined ? undefined : await images.document(repository, digest);
  if (document !== undefined) return document;
  throw new ProtocolError(protocolErrors.manifestUnknown, { detail: { digest: route.last } });
}

/** Seconds for which an image that was made is kept for the client, for certain. */
const keptFor = 5;

/** A kubelet's limit counts pulls, and each begins with a tag: so only those wait, and their images are made meanwhile. */
async function resolveTag(
  { images, pacing, observer }: Backend,
  { route, request, signal }: Call,
  repository: string,
): Promise<Document> {
  const resolve = async (): Promise<Document> => images.resolveTag(repository, route.last, signal);
  const made = resolve();
  if (!pacing.on) return made;
  // Also heard of where the turn does not come.
  made.catch(() => undefined);
  const held = await pacing.hold(request.ip, made, signal);
  observer.held(held);
  return held > keptFor ? resolve() : made;
}
