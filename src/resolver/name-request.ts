/**
 * What a name stands for, out of an ordinary registry, in three requests as for a closure: the index under its tag, the
 * manifest that it names, and the name document that this one names first.
 */
import { decodeClosureDocument, type PushedPath } from "../closure-index/closure-document.ts";
import type { ClosureName } from "../closure-index/closure-name.ts";
import { decodeNameDocument, type NamedClosure } from "../closure-index/name-document.ts";
import { checkNameIndex, parseNameIndex, parseNameManifest } from "../closure-index/name-index.ts";
import { namedImages, type NamedImages } from "../closure-index/named-images.ts";
import { closureIndexInvalid, nameDiffers } from "../errors.ts";
import type { Closure } from "../nix/closure.ts";
import type { Digest } from "../oci/digest.ts";
import { observed } from "./observer.ts";
import { readDocument, readManifest, requireSignature, type SignedRequest } from "./signed-parts.ts";
import { TrustedClosure } from "./trusted-closure.ts";

/** A name whose signature and index were checked. */
export interface TrustedName {
  /** Of the index: one with the same digest stands for the same. */
  readonly index: Digest;
  readonly images: NamedImages;
}

/** A closure out of its document, which knows what its paths are. */
export interface ReadClosure extends Closure {
  readonly paths: readonly PushedPath[];
}

/** What is asked for, and of whom. */
export interface NameRequest extends SignedRequest {
  readonly name: ClosureName;
  /** What is known from before: the same index is not read again. */
  readonly known: TrustedName | undefined;
}

/**
 * Asks what a name stands for, and checks all of it.
 *
 * @returns `undefined` if there is nothing under the name.
 * @throws closureUntrusted, nameDiffers, closureIndexInvalid, closureIncomplete, and what the registry's client does
 */
export async function requestName(request: NameRequest): Promise<TrustedName | undefined> {
  const { repository, name, known, signal } = request;
  const found = await observed(request, repository.name, "index", () =>
    repository.getManifest(name, { signal }),
  );
  if (found === undefined) return undefined;
  if (found.digest === known?.index) return known;
  const index = parseNameIndex(found.bytes);
  // Nobody has signed that yet, but it explains a tag that was moved better than its signature does.
  requireName(request, index.name);
  const manifest = parseNameManifest(await readManifest(request, index.manifest));
  requireSignature(request, manifest.signatures, { name, document: manifest.document.digest });
  const document = decodeNameDocument(await readDocument(request, manifest.document));
  requireName(request, document.name);
  checkNameIndex(index, manifest, document);
  return { index: found.digest, images: namedImages(repository.name, document) };
}

/**
 * Reads the closure that a name stands for on one system. Its document is the one whose digest the name's signature covers.
 *
 * @throws closureIndexInvalid, closureIncomplete, and what the registry's client does
 */
export async function requestNamedClosure(
  request: SignedRequest,
  { system, root, document: descriptor, paths, narSize }: NamedClosure,
): Promise<ReadClosure> {
  const bytes = await readDocument(request, descriptor);
  const document = decodeClosureDocument(bytes);
  const trusted = new TrustedClosure(request.repository.name, descriptor.digest, document, bytes.length);
  const closure = trusted.closure([root]);
  const isTheOne =
    document.system === system && trusted.paths.length === paths && trusted.narSize === narSize;
  if (closure !== undefined && isTheOne) return { ...closure, paths: trusted.paths };
  throw closureIndexInvalid(
    `its closure document for ${system} is of another closure than the name document says`,
  );
}

function requireName({ name, repository }: NameRequest, found: ClosureName): void {
  if (found !== name) throw nameDiffers(repository.name, name, found);
}
