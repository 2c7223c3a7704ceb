import { NixClosureError, registryAccessDenied } from "../errors.ts";
import { type Digest, sha256Digest } from "../oci/digest.ts";
import { contentLength } from "./manifests.ts";
import type { RegistryApi } from "./registry-api.ts";
import { Transient } from "./transient.ts";
import { begunSession, type UploadSession } from "./upload-session.ts";

/** Looks for a blob; see `Repository.headBlob`. */
export async function headBlob(
  api: RegistryApi,
  digest: Digest,
  signal: AbortSignal | undefined,
): Promise<{ readonly size: number | undefined } | undefined> {
  const answer = await api.call({
    method: "HEAD",
    url: api.url(`blobs/${digest}`),
    kind: "blob",
    doing: `looking for the blob ${digest}`,
    push: false,
    expected: [200, 404],
    signal,
  });
  return answer.status === 404 ? undefined : { size: contentLength(answer) };
}

/** Reads a small blob; see `Repository.getBlob`. */
export async function getBlob(
  api: RegistryApi,
  digest: Digest,
  { maxBytes, signal }: { readonly maxBytes: number; readonly signal?: AbortSignal },
): Promise<Uint8Array | undefined> {
  const doing = `reading the blob ${digest}`;
  const answer = await api.call({
    method: "GET",
    url: api.url(`blobs/${digest}`),
    kind: "blob",
    doing,
    push: false,
    limit: maxBytes,
    expected: [200, 404],
    signal,
  });
  if (answer.status === 404) return undefined;
  const found = sha256Digest(answer.bytes);
  if (found !== digest) {
    throw api.invalid(doing, `${answer.bytes.length} bytes with the digest ${found}`);
  }
  return answer.bytes;
}

/**
 * Asks for a blob of another repository.
 *
 * @returns true if it is there now, else the session that the registry has begun instead, if it has.
 */
export async function mountBlob(
  api: RegistryApi,
  digest: Digest,
  from: string,
  signal: AbortSignal | undefined,
): Promise<true | UploadSession | undefined> {
  const doing = `mounting the blob ${digest} from ${from}`;
  const url = api.url("blobs/uploads/");
  url.searchParams.set("mount", digest);
  url.searchParams.set("from", from);
  const attempts = api.attempts(doing);
  using life = api.life(signal);
  for (;;) {
    try {
      const answer = await api.attempt({
        method: "POST",
        url,
        kind: "blob",
        doing,
        push: true,
        from,
        // Registries that cannot do it say so in all ways that there are, 500 among them.
        expected: [201, 202, 400, 404, 405, 409, 500, 501, 502],
        signal: life.signal,
      });
      if (answer.status === 201) return true;
      return answer.status === 202 ? begunSession(api, doing, answer) : undefined;
    } catch (error) {
      // Nobody may read there, or the token service does not give tokens for two repositories.
      if (error instanceof NixClosureError && error.code === registryAccessDenied.code) return undefined;
      if (!(error instanceof Transient)) throw error;
      await attempts.failed(error, life.signal);
    }
  }
}
