import { emptyConfig } from "../closure-index/closure-index.ts";
import type { ClosureName } from "../closure-index/closure-name.ts";
import { signClosure } from "../closure-index/closure-signature.ts";
import {
  encodeNameDocument,
  type NamedClosure,
  type NameDocument,
  platformTag,
  profileIndex,
  storeIndex,
} from "../closure-index/name-document.ts";
import { nameIndex, nameManifest } from "../closure-index/name-index.ts";
import { internal } from "../errors.ts";
import type { SecretKey } from "../nix/secret-key.ts";
import { type Digest, sha256Digest } from "../oci/digest.ts";
import { describe, type Document } from "../oci/documents.ts";
import type { Repository } from "../registry-client/repository.ts";
import type { Blobs } from "./blobs.ts";
import type { PushedClosure } from "./push.ts";

export interface NameSurroundings {
  readonly repository: Repository;
  readonly blobs: Blobs;
  /** Undefined only in a dry run. */
  readonly signKey: SecretKey | undefined;
  /** Writes the name anew, whatever is there. */
  readonly force: boolean;
  readonly signal: AbortSignal;
  /** Something is odd, in words. */
  readonly warn: (text: string) => void;
}

/** A name that is in the repository now. */
export interface PushedName {
  readonly name: ClosureName;
  /** What it stands for, by system. */
  readonly closures: readonly NamedClosure[];
  readonly store: PlatformImage;
  /** Undefined: a root is no directory. */
  readonly profile: PlatformImage | undefined;
  /** As those of a closure. */
  readonly digest: Digest | undefined;
  readonly replaced: Digest | undefined;
  readonly unchanged: boolean;
}

/** A platform index that Pods name by its digest, and the tag that keeps it. */
export interface PlatformImage {
  readonly tag: string;
  readonly digest: Digest;
}

/**
 * Writes what a name stands for, all of whose images are in the repository: the platform indexes under tags of their own,
 * then document and manifest, and the index under the name last.
 *
 * @param closures one for each system, pushed with a store image that has all of it.
 * @throws the errors of the registry
 */
export async function pushName(
  name: ClosureName,
  closures: readonly PushedClosure[],
  around: NameSurroundings,
): Promise<PushedName> {
  const { repository, blobs, signKey, force, signal } = around;
  const document = nameDocument(name, closures, around.warn);
  const store = platformImage(document, "store", storeIndex(document));
  const profiles = profileIndex(document);
  const profile = profiles && platformImage(document, "profile", profiles);
  const kept = [store, ...(profile === undefined ? [] : [profile])];

  const bytes = encodeNameDocument(document);
  const digest = sha256Digest(bytes);
  const signatures = signKey === undefined ? [] : [signClosure(signKey, { name, document: digest })];
  const manifest = nameManifest({
    document: { digest, size: bytes.length },
    closures: document.closures.map((closure) => closure.document),
    signatures,
  });
  const index = nameIndex(document, describe(manifest));

  const found = await Promise.all(
    [name, ...kept.map(({ tag }) => tag)].map(async (tag) => repository.getManifest(tag, { signal })),
  );
  const [present, ...keptThere] = found.map((one) => one?.digest);
  const common = {
    name,
    closures: document.closures,
    store: named(store),
    profile: profile && named(profile),
  };
  const isThere =
    present === index.digest && kept.every(({ index: { digest } }, at) => digest === keptThere[at]);
  if (isThere && !force) return { ...common, digest: present, replaced: undefined, unchanged: true };

  for (const [at, { tag, index: platforms }] of kept.entries()) {
    if (keptThere[at] !== platforms.digest || force) await blobs.tag(tag, platforms);
  }
  await blobs.ensure(emptyConfig);
  await blobs.ensure({ digest, bytes });
  await blobs.ensureManifest(manifest);
  await blobs.tag(name, index);
  return {
    ...common,
    digest: signKey === undefined ? undefined : index.digest,
    replaced: signKey === undefined || present === index.digest ? undefined : present,
    unchanged: false,
  };
}

interface TaggedIndex {
  readonly tag: string;
  readonly index: Document;
}

function platformImage(document: NameDocument, kind: "store" | "profile", index: Document): TaggedIndex {
  return { tag: platformTag(document, kind, index), index };
}

function named({ tag, index: { digest } }: TaggedIndex): PlatformImage {
  return { tag, digest };
}

function nameDocument(
  name: ClosureName,
  closures: readonly PushedClosure[],
  warn: NameSurroundings["warn"],
): NameDocument {
  const all = closures
    .map(({ document, documentDescriptor, system, roots, narSize, paths }): NamedClosure => {
      const [root] = roots;
      const store = document.storeImages.find(({ own }) => own.length === 0)?.manifest;
      if (root === undefined || store === undefined) {
        throw internal("a closure was pushed for a name without what the name needs");
      }
      const profile = document.paths.find(({ storePath }) => storePath === root)?.manifest;
      const images = { store, ...(profile !== undefined && { profile }) };
      return { system, root, paths, narSize, document: documentDescriptor, ...images };
    })
    .toSorted((a, b) => (a.system < b.system ? -1 : 1));
  const without = all.filter(({ profile }) => profile === undefined);
  if (without.length === 0 || without.length === all.length) return { name, closures: all };
  const roots = without.map(({ root }) => root).join(" and ");
  warn(`${name} has no profile on any system, since ${roots} is not a directory`);
  return { name, closures: all.map(withoutProfile) };
}

function withoutProfile(closure: NamedClosure): NamedClosure {
  const { profile: _, ...rest } = closure;
  return rest;
}
