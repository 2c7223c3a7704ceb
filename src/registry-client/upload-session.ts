import type { HttpAnswer } from "./exchange.ts";
import { followLead } from "./leads.ts";
import type { RegistryApi } from "./registry-api.ts";

/** An upload that a registry has begun. */
export interface UploadSession {
  /** Where it goes on. */
  readonly url: URL;
  /** The bytes of the blob that the registry has. */
  readonly offset: number;
  /** The smallest piece that it takes, but for the last one (bytes; OCI-Chunk-Min-Length). */
  readonly minPiece: number;
}

/** A session that has just begun. @throws as {@link sessionOf}. */
export function begunSession(api: RegistryApi, doing: string, answer: HttpAnswer): UploadSession {
  const { range: _, ...headers } = answer.headers;
  return sessionOf(api, doing, { ...answer, headers });
}

/**
 * Reads what an answer says of a session: Location and Range (distribution-spec 1.1, "Pushing a blob in chunks").
 *
 * @param before what was known; a Location is needed at the start only.
 * @param offset where there is no Range.
 * @throws registryInvalidAnswer, registryLeadsAway
 */
export function sessionOf(
  api: RegistryApi,
  doing: string,
  answer: HttpAnswer,
  before?: UploadSession,
  offset = 0,
): UploadSession {
  const { location, range } = answer.headers;
  const url = typeof location === "string" ? followLead(api.rules, answer.url, location) : before?.url;
  if (url === undefined) throw api.invalid(doing, `HTTP ${answer.status} without a Location`);
  const known = typeof range === "string" ? endOf(range) : offset;
  if (known === undefined) throw api.invalid(doing, `a Range that does not begin at 0: ${String(range)}`);
  return { url, offset: known, minPiece: minPieceOf(answer) ?? before?.minPiece ?? 0 };
}

/** The URL that ends an upload: the query of its place stays as it is, for it may be signed. */
export function commitUrl(session: UploadSession, digest: string): URL {
  const url = new URL(session.url);
  url.search = `${url.search === "" ? "?" : `${url.search}&`}digest=${encodeURIComponent(digest)}`;
  return url;
}

/**
 * The bytes that a Range tells of. `0-0` is what registries write for none; for one byte too, but whoever has only one
 * loses little.
 */
function endOf(range: string): number | undefined {
  const end = /^(?:bytes=)?0-(\d+)$/.exec(range.trim())?.[1];
  if (end === undefined) return undefined;
  return end === "0" ? 0 : Number(end) + 1;
}

function minPieceOf({ headers }: HttpAnswer): number | undefined {
  const length = headers["oci-chunk-min-length"];
  return typeof length === "string" && /^\d{1,15}$/.test(length) ? Number(length) : undefined;
}
