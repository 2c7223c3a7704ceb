import { closureIndexInvalid, internal } from "../errors.ts";
import { baseName, parseBaseName, storeHash, type StorePath } from "../nix/store-path.ts";
import { digestHex } from "../oci/digest.ts";
import { describe, type Document } from "../oci/documents.ts";
import { type ClosureName, parseClosureName } from "./closure-name.ts";
import { parseJsonDocument, requireForm } from "./json-document.ts";
import { JsonFields } from "./json-fields.ts";
import { type ManifestDescriptor, readDescriptor } from "./manifest-descriptor.ts";
import { documentLimits } from "./pushed-closure.ts";
import { platformIndex } from "./platform-index.ts";
import { architectures, parseSystem, type System } from "./system.ts";

const what = "the name document";

/** The closure that a name stands for on the nodes of one system. */
export interface NamedClosure {
  readonly system: System;
  readonly root: StorePath;
  /** How many there are in the closure. */
  readonly paths: number;
  /** Sum of NarSize, in bytes. */
  readonly narSize: number;
  /** Its closure document. */
  readonly document: ManifestDescriptor;
  /** The store image that has all of it. */
  readonly store: ManifestDescriptor;
  /** The root's path image; none where a root is no directory. */
  readonly profile?: ManifestDescriptor;
}

/** What a name stands for: what its signature covers. */
export interface NameDocument {
  readonly name: ClosureName;
  /** Ascending by system, one for each; all of them have a profile, or none has. */
  readonly closures: readonly NamedClosure[];
}

/** The images that a name stands for, in the order of its index: store images, then profiles, by system. */
export function imagesOfName({ closures }: NameDocument): readonly (readonly [System, ManifestDescriptor])[] {
  const profiles = closures.flatMap(({ system, profile }) => (profile ? [[system, profile] as const] : []));
  return [...closures.map(({ system, store }) => [system, store] as const), ...profiles];
}

/** The platform index of the store images: what is mounted at /nix/store. */
export function storeIndex({ closures }: NameDocument): Document {
  return platformIndex(closures.map(({ system, store }) => ({ system, manifest: store })));
}

/** The platform index of the roots' path images: what is mounted as the profile; undefined: there are none. */
export function profileIndex({ closures }: NameDocument): Document | undefined {
  const images = closures.flatMap(({ system, profile }) => (profile ? [{ system, manifest: profile }] : []));
  return images.length === 0 ? undefined : platformIndex(images);
}

/**
 * The tags that keep the platform indexes of a name in a registry, also when the name stands for something else later.
 * They follow from the roots and from what they keep, so that none ever moves.
 */
export function platformTag({ closures }: NameDocument, kind: "store" | "profile", index: Document): string {
  const roots = closures.map(({ root }) => storeHash(root)).join("_");
  return `${roots}.${digestHex(index.digest).slice(0, digestDigits)}.${kind}`;
}

/** Hexadecimal digits: 64 bits, as many as tell images apart elsewhere. */
const digestDigits = 16;

/**
 * The bytes of a document: the same for the same closures, in whatever order they are given.
 */
export function encodeNameDocument(document: NameDocument): Uint8Array {
  const bytes = writeNameDocument(document);
  try {
    decodeNameDocument(bytes);
  } catch (cause) {
    throw internal("the name document could not be read again").causedBy(cause);
  }
  return bytes;
}

function writeNameDocument({ name, closures }: NameDocument): Uint8Array {
  const sorted = closures.toSorted((a, b) => (a.system < b.system ? -1 : 1));
  const document = { name, closures: sorted };
  const profiles = profileIndex(document);
  const content = {
    version: 1,
    name,
    closures: sorted.map((closure) => ({
      system: closure.system,
      root: baseName(closure.root),
      paths: closure.paths,
      narSize: closure.narSize,
      document: descriptorMembers(closure.document),
      store: descriptorMembers(closure.store),
      profile: closure.profile && descriptorMembers(closure.profile),
    })),
    // They follow from the rest; here they are for whoever reads it without making them.
    store: descriptorMembers(describeIndex(storeIndex(document))),
    profile: profiles && descriptorMembers(describeIndex(profiles)),
  };
  return new TextEncoder().encode(JSON.stringify(content));
}

/**
 * Reads a document, whoever wrote it. Only the bytes that the encoder makes are one.
 *
 * @throws closureIndexInvalid
 */
export function decodeNameDocument(bytes: Uint8Array): NameDocument {
  const fields = parseJsonDocument(bytes, what);
  if (fields.optional("version") !== 1) {
    throw closureIndexInvalid(`${what} has a version that is not 1; a newer nix-closure may read it`);
  }
  let last = "";
  const closures = fields.list("closures", 1, Object.keys(architectures).length).map((value, index) => {
    const entry = new JsonFields(value, `closures[${index}]`);
    const closure = readClosure(entry);
    if (closure.system <= last) throw entry.wrong("system", "they are not in ascending order, each once");
    last = closure.system;
    return closure;
  });
  if (new Set(closures.map(({ profile }) => profile === undefined)).size > 1) {
    throw closureIndexInvalid(`${what} has a profile for some systems, and none for others`);
  }
  if (new Set(closures.map(({ root }) => root)).size < closures.length) {
    throw closureIndexInvalid(`${what} has one root for several systems`);
  }
  const document = { name: fields.parsed("name", parseClosureName), closures };
  requireForm(bytes, writeNameDocument(document), what);
  return document;
}

function readClosure(fields: JsonFields): NamedClosure {
  return {
    system: fields.parsed("system", parseSystem),
    root: fields.parsed("root", parseBaseName),
    paths: fields.integer("paths", 1, documentLimits.paths),
    narSize: fields.integer("narSize", 1, Number.MAX_SAFE_INTEGER),
    document: readDescriptor(fields.object("document")),
    store: readDescriptor(fields.object("store")),
    ...(fields.optional("profile") !== undefined && { profile: readDescriptor(fields.object("profile")) }),
  };
}

function descriptorMembers({ digest, size }: ManifestDescriptor): ManifestDescriptor {
  return { digest, size };
}

function describeIndex(index: Document): ManifestDescriptor {
  const { digest, size } = describe(index);
  return { digest, size };
}
