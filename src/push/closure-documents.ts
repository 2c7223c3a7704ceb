import {
  type ClosureDocument,
  decodeClosureDocument,
  encodeClosureDocument,
  type ManifestDescriptor,
} from "../closure-index/closure-document.ts";
import { closureIndex, closureManifest, emptyConfig } from "../closure-index/closure-index.ts";
import { signClosure } from "../closure-index/closure-signature.ts";
import type { SecretKey } from "../nix/secret-key.ts";
import { type Digest, sha256Digest } from "../oci/digest.ts";
import { describe } from "../oci/documents.ts";
import type { Blobs } from "./blobs.ts";
import type { ClosureImages } from "./images.ts";
import type { WantedClosure } from "./wanted-closure.ts";

export interface FinishOptions {
  readonly blobs: Blobs;
  /** Undefined in a dry run without a key. */
  readonly signKey: SecretKey | undefined;
  /** The name of a key whose signatures are left out. */
  readonly hiddenKey: string | undefined;
}

/** What was written of a closure, beside its images. */
export interface FinishedClosure {
  readonly document: ClosureDocument;
  readonly documentDescriptor: ManifestDescriptor;
  /** Of the index; undefined without a key. */
  readonly digest: Digest | undefined;
}

/**
 * Writes what makes images a closure: document, closure manifest, and the index under the closure's tag, in this order.
 *
 * @throws pushedClosureTooLarge, and the errors of the registry
 */
export async function finishClosure(
  wanted: WantedClosure,
  images: ClosureImages,
  { blobs, signKey, hiddenKey }: FinishOptions,
): Promise<FinishedClosure> {
  const bytes = encodeClosureDocument(closureDocument(wanted, images, hiddenKey));
  // In its canonical order, which the index has too.
  const document = decodeClosureDocument(bytes);
  const digest = sha256Digest(bytes);
  const { tag } = wanted;
  const signatures =
    signKey === undefined ? [] : [signClosure(signKey, { tag, system: document.system, document: digest })];
  const documentDescriptor = { digest, size: bytes.length };
  const manifest = closureManifest({ document: documentDescriptor, signatures });
  const index = closureIndex(document, describe(manifest));
  await blobs.ensure(emptyConfig);
  await blobs.ensure({ digest, bytes });
  await blobs.ensureManifest(manifest);
  await blobs.tag(tag, index);
  return { document, documentDescriptor, digest: signKey === undefined ? undefined : index.digest };
}

function closureDocument(
  { closure, types, storeImages }: WantedClosure,
  images: ClosureImages,
  hiddenKey: string | undefined,
): ClosureDocument {
  return {
    system: images.system,
    roots: closure.roots,
    paths: closure.paths.map((info) => {
      const { storePath, narHash, narSize, references, contentAddress } = info;
      const manifest = images.paths.get(storePath);
      return {
        storePath,
        narHash,
        narSize,
        references,
        signatures: info.signatures.filter(({ keyName }) => keyName !== hiddenKey),
        ...(contentAddress !== undefined && { contentAddress }),
        type: types.get(storePath) ?? "directory",
        ...(manifest !== undefined && { manifest: describe(manifest) }),
      };
    }),
    storeImages: storeImages.flatMap((own, at) => {
      const manifest = images.storeImages[at];
      return manifest === undefined ? [] : [{ own: [...own], manifest: describe(manifest) }];
    }),
  };
}
