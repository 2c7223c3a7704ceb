/** Conditional requests, RFC 9110 section 13. The entity tag of a blob or manifest is its digest, which is strong. */
import type { Digest } from "../oci/digest.ts";

/** The ETag field of what has `digest`. */
export function entityTag(digest: Digest): string {
  return `"${digest}"`;
}

/**
 * Whether If-None-Match says that the client has `digest` already, section 13.1.2: any of a list, weak or not. A
 * digest without quotes counts too; the distribution project's registry takes it, so clients send it.
 */
export function isKnownToClient(ifNoneMatch: string | undefined, digest: Digest): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch.trim() === "*") return true;
  const tags = ifNoneMatch.match(/(?:W\/)?"[^"]*"|[^\s,"]+/g) ?? [];
  return tags.some((tag) => tag.replace(/^W\//, "") === entityTag(digest) || tag === digest);
}

/** Whether If-Range lets a Range count, section 13.1.5: strong tags only, and no date, as there is none here. */
export function rangeApplies(ifRange: string | string[] | undefined, digest: Digest): boolean {
  return ifRange === undefined || String(ifRange).trim() === entityTag(digest);
}
