import { createHash } from "node:crypto";
import {
  type ClosureDocument,
  encodeClosureDocument,
  type PushedPath,
} from "../../src/closure-index/closure-document.ts";
import { closureIndex, closureManifest, emptyConfig } from "../../src/closure-index/closure-index.ts";
import { signClosure } from "../../src/closure-index/closure-signature.ts";
import { closureTag } from "../../src/closure-index/closure-tag.ts";
import { formatNarHash } from "../../src/nix/hash.ts";
import type { StorePath } from "../../src/nix/store-path.ts";
import { type Digest, sha256Digest } from "../../src/oci/digest.ts";
import type { Document } from "../../src/oci/documents.ts";
import type { SourceConfig } from "../../src/resolver/source.ts";
import type { Signer } from "../nix/signer.ts";
import { chain, pathOf, signer } from "./fake-store.ts";
import type { RegistryServer } from "./registry-server.ts";

/** Where a manifest would be that follows from a text; nobody reads it. */
export function manifestOf(text: string): { readonly digest: Digest; readonly size: number } {
  return { digest: sha256Digest(Buffer.from(text)), size: 500 + text.length };
}

export function pushedPath(
  storePath: StorePath,
  references: readonly StorePath[],
  type: PushedPath["type"] = "directory",
): PushedPath {
  return {
    storePath,
    narHash: formatNarHash(createHash("sha256").update(storePath).digest()),
    narSize: 1000,
    references,
    signatures: [],
    type,
    ...(type === "directory" && { manifest: manifestOf(storePath) }),
  };
}

/** A closure as it is pushed: a chain of so many directories, the last of which is a file. */
export function pushedChain(length: number, name = "link"): ClosureDocument {
  const paths = chain(length, name).map(([path, { references = [] }], index) =>
    pushedPath(path, references, index + 1 < length ? "directory" : "regular"),
  );
  return documentOf([pathOf(`${name}-0`)], paths);
}

/** A closure with one store image for all of it, and one beside the images of all directories. */
export function documentOf(roots: readonly StorePath[], paths: readonly PushedPath[]): ClosureDocument {
  const sorted = paths.toSorted((a, b) => (a.storePath < b.storePath ? -1 : 1));
  const own = sorted.flatMap(({ storePath, type }) => (type === "directory" ? storePath : []));
  const name = roots.join(" ");
  return {
    system: "x86_64-linux",
    roots: roots.toSorted(),
    paths: sorted,
    storeImages: [
      { own: [], manifest: manifestOf(`all of ${name}`) },
      ...(own.length > 0 ? [{ own, manifest: manifestOf(`the rest of ${name}`) }] : []),
    ],
  };
}

/** The parts of a closure as they lie in a registry. */
export interface PushedParts {
  readonly tag: string;
  readonly index: Document;
  readonly manifest: Document;
  readonly document: Uint8Array;
}

/** Encodes and signs a closure. */
export function partsOf(closure: ClosureDocument, signers: readonly Signer[] = [signer]): PushedParts {
  const document = encodeClosureDocument(closure);
  const descriptor = { digest: sha256Digest(document), size: document.length };
  const tag = closureTag(closure.roots);
  const statement = { tag, system: closure.system, document: descriptor.digest };
  const signatures = signers.map(({ secretKey }) => signClosure(secretKey, statement));
  const manifest = closureManifest({ document: descriptor, signatures });
  const index = closureIndex(closure, { digest: manifest.digest, size: manifest.bytes.length });
  return { tag, index, manifest, document };
}

/** Puts a closure into a registry. */
export function push(
  server: RegistryServer,
  closure: ClosureDocument,
  signers: readonly Signer[] = [signer],
): PushedParts {
  const parts = partsOf(closure, signers);
  putParts(server, parts);
  return parts;
}

export function putParts(server: RegistryServer, { tag, index, manifest, document }: PushedParts): void {
  server.putBlob(emptyConfig.bytes);
  server.putBlob(document);
  server.putManifest(manifest);
  server.putManifest(index, tag);
}

/** The source `main` in a registry. */
export function registrySource(
  server: RegistryServer,
  more: Partial<Omit<Extract<SourceConfig, { readonly registry: string }>, "name" | "registry">> = {},
): SourceConfig {
  return { name: "main", registry: server.repository, publicKeys: [signer.publicKey], ...more };
}
