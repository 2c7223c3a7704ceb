/**
 * A pushed closure out of an ordinary registry, in three requests: the index under its tag, the closure manifest that it
 * names, and the closure document that this one names. Nothing of them is believed before the signature has been verified.
 */
import { decodeClosureDocument, type ManifestDescriptor } from "../closure-index/closure-document.ts";
import {
  checkClosureIndex,
  parseClosureIndex,
  parseClosureManifest,
} from "../closure-index/closure-index.ts";
import { type ClosureStatement, verifyClosure } from "../closure-index/closure-signature.ts";
import { closureTag } from "../closure-index/closure-tag.ts";
import { closureIncomplete, closureIndexInvalid, closureRootsDiffer, closureUntrusted } from "../errors.ts";
import { parseSignature, type PublicKey } from "../nix/signature.ts";
import type { StorePath } from "../nix/store-path.ts";
import type { Repository } from "../registry-client/repository.ts";
import type { Clock } from "./clock.ts";
import { observed, type ResolverObserver } from "./observer.ts";
import { describeSignatures } from "./signature-words.ts";
import { TrustedClosure } from "./trusted-closure.ts";

/** Signatures that are looked at for a message: a hostile manifest can have thousands. */
const maxNamed = 64;

/** What is asked for, and of whom. */
export interface ClosureRequest {
  readonly repository: Repository;
  /** One of them must have signed it. */
  readonly keys: readonly PublicKey[];
  readonly tag: string;
  /** The roots, for messages. */
  readonly label: string;
  /** What is known from before: the same index is not read again. */
  readonly known: TrustedClosure | undefined;
  readonly signal: AbortSignal;
  readonly observer: ResolverObserver;
  readonly clock: Clock;
}

/**
 * Asks for a closure, and checks all of it.
 *
 * @returns `undefined` if there is nothing under the tag.
 * @throws closureUntrusted, closureRootsDiffer, closureIndexInvalid, closureIncomplete, and what the registry's client does
 */
export async function requestClosure(request: ClosureRequest): Promise<TrustedClosure | undefined> {
  const { repository, tag, known, signal } = request;
  const found = await observed(request, repository.name, "index", () =>
    repository.getManifest(tag, { signal }),
  );
  if (found === undefined) return undefined;
  if (found.digest === known?.index) return known;
  const index = parseClosureIndex(found.bytes);
  // Nobody has signed that yet, but it explains a tag that was moved better than its signature does.
  requireRoots(request, index.roots);
  const manifest = parseClosureManifest(await readManifest(request, index.closureManifest));
  const statement = { tag, system: index.system, document: manifest.document.digest };
  // Before the document is read: who has no key makes nobody read megabytes.
  requireSignature(request, manifest.signatures, statement);
  const bytes = await readDocument(request, manifest.document);
  const document = decodeClosureDocument(bytes);
  requireRoots(request, document.roots);
  checkClosureIndex(index, document);
  return new TrustedClosure(repository.name, found.digest, document, bytes.length);
}

async function readManifest(request: ClosureRequest, descriptor: ManifestDescriptor): Promise<Uint8Array> {
  const { repository, signal } = request;
  const { digest, size } = descriptor;
  const manifest = await observed(request, repository.name, "manifest", () =>
    repository.getManifest(digest, { maxBytes: size, signal }),
  );
  return requireWhole(request, "closure manifest", descriptor, manifest?.bytes);
}

async function readDocument(request: ClosureRequest, descriptor: ManifestDescriptor): Promise<Uint8Array> {
  const { repository, signal } = request;
  const { digest, size } = descriptor;
  const bytes = await observed(request, repository.name, "document", () =>
    repository.getBlob(digest, { maxBytes: size, signal }),
  );
  return requireWhole(request, "closure document", descriptor, bytes);
}

function requireWhole(
  { repository, label }: ClosureRequest,
  what: string,
  { digest, size }: ManifestDescriptor,
  bytes: Uint8Array | undefined,
): Uint8Array {
  if (bytes === undefined) throw closureIncomplete(repository.name, label, `${what} ${digest}`);
  if (bytes.length === size) return bytes;
  throw closureIndexInvalid(`its ${what} has ${bytes.length} bytes, it is said to have ${size}`);
}

function requireRoots({ repository, tag, label }: ClosureRequest, roots: readonly StorePath[]): void {
  if (closureTag(roots) !== tag) throw closureRootsDiffer(repository.name, label, roots.join(" "));
}

function requireSignature(
  { keys, label, repository }: ClosureRequest,
  signatures: readonly string[],
  statement: ClosureStatement,
): void {
  if (verifyClosure(signatures, statement, keys) !== undefined) return;
  const found = signatures.slice(0, maxNamed).flatMap((signature) => parseSignature(signature) ?? []);
  const trusted = keys.map(({ name }) => name);
  const why = describeSignatures(found, keys) ?? "it has no signature";
  throw closureUntrusted(label, repository.name, why, trusted);
}
