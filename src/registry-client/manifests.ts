import { type Digest, parseDigest, sha256Digest } from "../oci/digest.ts";
import { type Document, mediaTypes } from "../oci/documents.ts";
import { isTag } from "../oci/reference.ts";
import { referenceInvalid } from "../errors.ts";
import type { HttpAnswer } from "./exchange.ts";
import type { RegistryApi } from "./registry-api.ts";

/** Larger ones are refused by registries and by other clients (distribution-spec 1.1, "Pushing Manifests"). */
export const maxManifest = 4 * 1024 * 1024;

/** Docker's forms too: a registry that has one would else say that there is nothing. */
const accepted = [
  mediaTypes.index,
  mediaTypes.manifest,
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.docker.distribution.manifest.v2+json",
].join(", ");

/** A manifest as a registry gave it. */
export interface FoundManifest {
  /** Content-Type, without parameters. */
  readonly mediaType: string;
  /** Of the bytes. */
  readonly digest: Digest;
  readonly bytes: Uint8Array;
}

/** Reads a manifest or index; see `Repository.getManifest`. */
export async function getManifest(
  api: RegistryApi,
  reference: string,
  { maxBytes = maxManifest, signal }: { readonly maxBytes?: number; readonly signal?: AbortSignal },
): Promise<FoundManifest | undefined> {
  const digest = checkReference(reference);
  const doing = `reading the manifest ${reference}`;
  const answer = await api.call({
    method: "GET",
    url: api.url(`manifests/${reference}`),
    kind: "manifest",
    doing,
    push: false,
    headers: { accept: accepted },
    limit: maxBytes,
    expected: [200, 404],
    signal,
  });
  if (answer.status === 404) return undefined;
  const found = sha256Digest(answer.bytes);
  const wanted = digest ?? digestOf(answer);
  if (wanted !== undefined && wanted !== found) {
    throw api.invalid(doing, `${answer.bytes.length} bytes with the digest ${found} instead of ${wanted}`);
  }
  return { mediaType: mediaTypeOf(answer), digest: found, bytes: answer.bytes };
}

/** Looks for a manifest or index; see `Repository.headManifest`. */
export async function headManifest(
  api: RegistryApi,
  reference: string,
  signal: AbortSignal | undefined,
): Promise<{ readonly digest: Digest; readonly size: number } | undefined> {
  checkReference(reference);
  const answer = await api.call({
    method: "HEAD",
    url: api.url(`manifests/${reference}`),
    kind: "manifest",
    doing: `looking for the manifest ${reference}`,
    push: false,
    headers: { accept: accepted },
    expected: [200, 404],
    signal,
  });
  if (answer.status === 404) return undefined;
  const digest = digestOf(answer);
  const size = contentLength(answer);
  if (digest !== undefined && size !== undefined) return { digest, size };
  // Both are only recommended.
  const found = await getManifest(api, reference, signal === undefined ? {} : { signal });
  return found === undefined ? undefined : { digest: found.digest, size: found.bytes.length };
}

/** Writes a manifest or index; see `Repository.putManifest`. */
export async function putManifest(
  api: RegistryApi,
  reference: string,
  document: Document,
  signal: AbortSignal | undefined,
): Promise<void> {
  const digest = checkReference(reference);
  if (digest !== undefined && digest !== document.digest) {
    throw referenceInvalid(reference, `the manifest to write there has the digest ${document.digest}`);
  }
  const doing = `writing the manifest ${reference}`;
  const answer = await api.call({
    method: "PUT",
    url: api.url(`manifests/${reference}`),
    kind: "manifest",
    doing,
    push: true,
    headers: { "content-type": document.mediaType },
    body: document.bytes,
    expected: [200, 201, 202, 204],
    slow: true,
    signal,
  });
  checkStored(api, doing, answer, document.digest);
}

/**
 * Looks at the digest under which a registry says that it stored something.
 *
 * @throws registryInvalidAnswer if it is another one.
 */
export function checkStored(api: RegistryApi, doing: string, answer: HttpAnswer, digest: Digest): void {
  const stored = digestOf(answer);
  if (stored !== undefined && stored !== digest) {
    throw api.invalid(doing, `it says that it stored ${stored} instead of ${digest}`);
  }
}

/** Content-Length in bytes. */
export function contentLength({ headers }: HttpAnswer): number | undefined {
  const length = headers["content-length"];
  return typeof length === "string" && /^\d+$/.test(length) ? Number(length) : undefined;
}

/** Docker-Content-Digest, if it is there and of an algorithm that is known here. */
function digestOf({ headers }: HttpAnswer): Digest | undefined {
  const digest = headers["docker-content-digest"];
  return typeof digest === "string" && digest.startsWith("sha256:") ? readDigest(digest) : undefined;
}

/** A digest that a registry wrote; `undefined` if it is none. */
function readDigest(text: string): Digest | undefined {
  try {
    return parseDigest(text);
  } catch {
    return undefined;
  }
}

function mediaTypeOf({ headers }: HttpAnswer): string {
  const type = headers["content-type"];
  const [bare = ""] = (typeof type === "string" ? type : "").split(";", 1);
  return bare.trim().toLowerCase();
}

/** The digest that a reference is, if it is one. */
function checkReference(reference: string): Digest | undefined {
  if (reference.includes(":")) return parseDigest(reference);
  if (isTag(reference)) return undefined;
  throw referenceInvalid(reference, "it is neither a tag nor a digest");
}
