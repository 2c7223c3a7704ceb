import { encodeClosureDocument } from "../../src/closure-index/closure-document.ts";
import type { ClosureDocument } from "../../src/closure-index/closure-document.ts";
import { type ClosureName, parseClosureName } from "../../src/closure-index/closure-name.ts";
import { signClosure } from "../../src/closure-index/closure-signature.ts";
import { emptyConfig } from "../../src/closure-index/closure-index.ts";
import { encodeNameDocument, type NamedClosure } from "../../src/closure-index/name-document.ts";
import { nameIndex, nameManifest } from "../../src/closure-index/name-index.ts";
import type { System } from "../../src/closure-index/system.ts";
import { sha256Digest } from "../../src/oci/digest.ts";
import { describe, type Document } from "../../src/oci/documents.ts";
import type { Signer } from "../nix/signer.ts";
import { signer } from "./fake-store.ts";
import { pushedChain } from "./pushed.ts";
import type { RegistryServer } from "./registry-server.ts";

/** The closures of an app for both systems: chains of three directories and a file. */
export function appOf(version: string): readonly ClosureDocument[] {
  return [of("aarch64-linux", `${version}-arm`, 5), of("x86_64-linux", `${version}-intel`, 4)];
}

function of(system: System, name: string, length: number): ClosureDocument {
  return { ...pushedChain(length, name), system };
}

/** The parts of a name as they lie in a registry. */
export interface NameParts {
  readonly name: ClosureName;
  readonly index: Document;
  readonly manifest: Document;
  readonly document: Uint8Array;
  readonly closures: readonly Uint8Array[];
}

/** Encodes and signs a name over closures. */
export function namePartsOf(
  text: string,
  closures: readonly ClosureDocument[],
  signers: readonly Signer[] = [signer],
): NameParts {
  const name = parseClosureName(text);
  const documents = closures.map(encodeClosureDocument);
  const named = closures.map((closure, at): NamedClosure => {
    const document = documents[at]!;
    const [root] = closure.roots;
    return {
      system: closure.system,
      root: root!,
      paths: closure.paths.length,
      narSize: closure.paths.reduce((sum, { narSize }) => sum + narSize, 0),
      document: { digest: sha256Digest(document), size: document.length },
      store: closure.storeImages.find(({ own }) => own.length === 0)!.manifest,
      profile: closure.paths.find(({ storePath }) => storePath === root)!.manifest!,
    };
  });
  const content = { name, closures: named };
  const document = encodeNameDocument(content);
  const statement = { name, document: sha256Digest(document) };
  const manifest = nameManifest({
    document: { digest: statement.document, size: document.length },
    closures: named.map((closure) => closure.document),
    signatures: signers.map(({ secretKey }) => signClosure(secretKey, statement)),
  });
  return { name, index: nameIndex(content, describe(manifest)), manifest, document, closures: documents };
}

export function putName(
  server: RegistryServer,
  { name, index, manifest, document, closures }: NameParts,
): void {
  server.putBlob(emptyConfig.bytes);
  for (const blob of [document, ...closures]) server.putBlob(blob);
  server.putManifest(manifest);
  server.putManifest(index, name);
}

/** Puts a name into a registry. */
export function pushName(
  server: RegistryServer,
  name: string,
  closures: readonly ClosureDocument[],
  signers: readonly Signer[] = [signer],
): NameParts {
  const parts = namePartsOf(name, closures, signers);
  putName(server, parts);
  return parts;
}
