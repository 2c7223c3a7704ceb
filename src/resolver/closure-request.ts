/**
 * A pushed closure out of an ordinary registry, in three requests: the index under its tag, the closure manifest that it
 * names, and the closure document that this one names. Nothing of them is believed before the signature has been verified.
 */
import { decodeClosureDocument } from "../closure-index/closure-document.ts";
import {
  checkClosureIndex,
  parseClosureIndex,
  parseClosureManifest,
} from "../closure-index/closure-index.ts";
import { closureTag } from "../closure-index/closure-tag.ts";
import { closureRootsDiffer } from "../errors.ts";
import type { StorePath } from "../nix/store-path.ts";
import { observed } from "./observer.ts";
import { readDocument, readManifest, requireSignature, type SignedRequest } from "./signed-parts.ts";
import { TrustedClosure } from "./trusted-closure.ts";

/** What is asked for, and of whom. */
export interface ClosureRequest extends SignedRequest {
  readonly tag: string;
  /** What is known from before: the same index is not read again. */
  readonly known: TrustedClosure | undefined;
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

function requireRoots({ repository, tag, label }: ClosureRequest, roots: readonly StorePath[]): void {
  if (closureTag(roots) !== tag) throw closureRootsDiffer(repository.name, label, roots.join(" "));
}
