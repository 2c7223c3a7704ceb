import { type Digest, parseDigest } from "../oci/digest.ts";
import { isRepository } from "../oci/reference.ts";
import type { RequestKind } from "./observer.ts";
import { ProtocolError, protocolErrors } from "./protocol-error.ts";

/** A URL, taken apart but not judged. */
export interface Route {
  readonly kind: RequestKind;
  /** Where a repository belongs. */
  readonly name: string;
  /** Where a tag or digest belongs. */
  readonly last: string;
  readonly query: URLSearchParams;
}

/**
 * Takes a URL below /v2 apart, from its end, because names have slashes and may hold words such as "manifests":
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#endpoints
 */
export function parseRoute(url: string): Route {
  // A proxy's client writes the whole URL, http://host/v2/ and so on.
  const [address = "", query] = url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?]*/i, "").split("?", 2);
  const segments = address.split("/").slice(2).map(decodeSegment);
  const [noun, last] = segments.slice(-2);
  const route = {
    name: segments.slice(0, -2).join("/"),
    last: last ?? "",
    query: new URLSearchParams(query),
  };
  return { kind: kindOf(segments, noun, last), ...route };
}

const nouns: ReadonlyMap<string | undefined, RequestKind> = new Map([
  ["manifests", "manifest"],
  ["blobs", "blob"],
  ["tags", "tags"],
  ["referrers", "referrers"],
]);

function kindOf(
  segments: readonly string[],
  noun: string | undefined,
  last: string | undefined,
): RequestKind {
  if (segments.length === 0 || (segments.length === 1 && noun === "")) return "ping";
  if (segments.length < 3 || (noun === "tags" && last !== "list")) return "other";
  return nouns.get(noun) ?? "other";
}

/** An encoded slash, and what is no UTF-8, stay as they are: no name, tag or digest has a "%". */
function decodeSegment(segment: string): string {
  try {
    const text = decodeURIComponent(segment);
    return text.includes("/") ? segment : text;
  } catch {
    return segment;
  }
}

/** The repository of a route. */
export function requireRepository(route: Route): string {
  if (isRepository(route.name)) return route.name;
  throw new ProtocolError(protocolErrors.nameInvalid, { detail: { name: shortened(route.name) } });
}

/** The digest of a route; undefined for a well-formed one by an algorithm that nothing here is named with. */
export function requireDigest(route: Route): Digest | undefined {
  if (/^sha512:[0-9a-f]{128}$/.test(route.last)) return undefined;
  try {
    return parseDigest(route.last);
  } catch (error) {
    throw new ProtocolError(protocolErrors.digestInvalid, {
      detail: { digest: shortened(route.last) },
      cause: error,
    });
  }
}

/** Foreign text for an answer: the client knows the rest. */
export function shortened(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
