import type { FastifyReply } from "fastify";

import type { Images } from "../image/images.ts";
import { answerJson, type Call } from "./call.ts";
import { ProtocolError, protocolErrors } from "./protocol-error.ts";
import { requireRepository, shortened } from "./route.ts";

/**
 * The tags of a repository, sorted, in pages where `n` asks for them.
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags
 */
export async function answerTags(images: Images, call: Call): Promise<FastifyReply> {
  const name = requireRepository(call.route);
  const count = parseCount(call.route.query.get("n"));
  const last = call.route.query.get("last") ?? "";

  const tags = await images.tags(name);
  if (tags === undefined) throw new ProtocolError(protocolErrors.nameUnknown, { detail: { name } });
  const rest = tags.filter((tag) => tag > last).toSorted();
  const page = rest.slice(0, count);
  const end = page.at(-1);
  if (end !== undefined && page.length < rest.length) {
    call.reply.header(
      "Link",
      `</v2/${name}/tags/list?n=${page.length}&last=${encodeURIComponent(end)}>; rel="next"`,
    );
  }
  return answerJson(call, "application/json", { name, tags: page });
}

function parseCount(text: string | null): number | undefined {
  if (text === null || text === "") return undefined;
  if (!/^\d+$/.test(text))
    throw new ProtocolError(protocolErrors.countInvalid, { detail: { n: shortened(text) } });
  return Number(text);
}
