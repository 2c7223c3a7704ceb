import type { FastifyReply } from "fastify";

import type { Images } from "../image/images.ts";
import type { Document } from "../oci/documents.ts";
import { isTag } from "../oci/reference.ts";
import { answerBytes, type Call } from "./call.ts";
import { entityTag, isKnownToClient } from "./conditions.ts";
import { ProtocolError, protocolErrors } from "./protocol-error.ts";
import { requireDigest, requireRepository, shortened } from "./route.ts";

/**
 * A manifest or index by tag or digest. Accept is not looked at: there is one form, which every client takes.
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
 */
export async function answerManifest(images: Images, call: Call): Promise<FastifyReply> {
  const document = await findDocument(images, call);
  call.reply.header("Docker-Content-Digest", document.digest).header("ETag", entityTag(document.digest));
  if (isKnownToClient(call.request.headers["if-none-match"], document.digest))
    return call.reply.code(304).send();
  return answerBytes(call, document.mediaType, document.bytes);
}

async function findDocument(images: Images, call: Call): Promise<Document> {
  const { route } = call;
  const repository = requireRepository(route);
  if (!route.last.includes(":")) {
    if (isTag(route.last)) return images.resolveTag(repository, route.last, call.signal);
    throw new ProtocolError(protocolErrors.tagInvalid, { detail: { tag: shortened(route.last) } });
  }
  const digest = requireDigest(route);
  const document = digest === undefined ? undefined : await images.document(repository, digest);
  if (document !== undefined) return document;
  throw new ProtocolError(protocolErrors.manifestUnknown, { detail: { digest: route.last } });
}
