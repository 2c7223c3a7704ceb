/** The parts of what is signed in an ordinary registry, as it is fetched: manifest, document, and who signed it. */
import type { ManifestDescriptor } from "../closure-index/closure-document.ts";
import { verifyClosure } from "../closure-index/closure-signature.ts";
import { closureIncomplete, closureIndexInvalid, closureUntrusted } from "../errors.ts";
import { parseSignature, type PublicKey } from "../nix/signature.ts";
import type { Repository } from "../registry-client/repository.ts";
import type { Clock } from "./clock.ts";
import { observed, type ResolverObserver } from "./observer.ts";
import { describeSignatures } from "./signature-words.ts";

/** Signatures that are looked at for a message: a hostile manifest can have thousands. */
const maxNamed = 64;

/** Who is asked, and who must have signed what is found. */
export interface SignedRequest {
  readonly repository: Repository;
  /** One of them must have signed it. */
  readonly keys: readonly PublicKey[];
  /** The roots, or the name, for messages. */
  readonly label: string;
  readonly signal: AbortSignal;
  readonly observer: ResolverObserver;
  readonly clock: Clock;
}

/**
 * The manifest that an index leads to.
 *
 * @throws closureIncomplete, closureIndexInvalid, and what the registry's client does
 */
export async function readManifest(
  request: SignedRequest,
  descriptor: ManifestDescriptor,
): Promise<Uint8Array> {
  const { repository, signal } = request;
  const { digest, size } = descriptor;
  const manifest = await observed(request, repository.name, "manifest", () =>
    repository.getManifest(digest, { maxBytes: size, signal }),
  );
  return requireWhole(request, "closure manifest", descriptor, manifest?.bytes);
}

/**
 * A document that a manifest leads to.
 *
 * @throws as {@link readManifest}
 */
export async function readDocument(
  request: SignedRequest,
  descriptor: ManifestDescriptor,
): Promise<Uint8Array> {
  const { repository, signal } = request;
  const { digest, size } = descriptor;
  const bytes = await observed(request, repository.name, "document", () =>
    repository.getBlob(digest, { maxBytes: size, signal }),
  );
  return requireWhole(request, "closure document", descriptor, bytes);
}

function requireWhole(
  { repository, label }: SignedRequest,
  what: string,
  { digest, size }: ManifestDescriptor,
  bytes: Uint8Array | undefined,
): Uint8Array {
  if (bytes === undefined) throw closureIncomplete(repository.name, label, `${what} ${digest}`);
  if (bytes.length === size) return bytes;
  throw closureIndexInvalid(`its ${what} has ${bytes.length} bytes, it is said to have ${size}`);
}

/** @throws closureUntrusted */
export function requireSignature(
  { keys, label, repository }: SignedRequest,
  signatures: readonly string[],
  statement: Parameters<typeof verifyClosure>[1],
): void {
  if (verifyClosure(signatures, statement, keys) !== undefined) return;
  const found = signatures.slice(0, maxNamed).flatMap((signature) => parseSignature(signature) ?? []);
  const trusted = keys.map(({ name }) => name);
  const why = describeSignatures(found, keys) ?? "it has no signature";
  throw closureUntrusted(label, repository.name, why, trusted);
}
