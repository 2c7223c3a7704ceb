import type { FastifyReply } from "fastify";

import { imageIndex, mediaTypes } from "../oci/documents.ts";
import { answerBytes, type Call } from "./call.ts";
import { requireDigest, requireRepository } from "./route.ts";

const noReferrers = imageIndex({ manifests: [] });

/**
 * No image of ours refers to another one, and the spec allows no 404 here.
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
 */
export function answerReferrers(call: Call): FastifyReply {
  requireRepository(call.route);
  requireDigest(call.route);
  // An empty list is right for any filter; with no type in it there was nothing to filter by.
  if (call.route.query.get("artifactType")) call.reply.header("OCI-Filters-Applied", "artifactType");
  return answerBytes(call, mediaTypes.index, noReferrers.bytes);
}
