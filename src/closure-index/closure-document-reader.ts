import { closureIndexInvalid } from "../errors.ts";
import type { PathType } from "../nix/closure.ts";
import { parseContentAddress } from "../nix/content-address.ts";
import { type NarHash, parseSha256 } from "../nix/hash.ts";
import { parseSignature } from "../nix/signature.ts";
import { parseBaseName, storeHash, type StorePath } from "../nix/store-path.ts";
import { type ClosureDocument, documentLimits, type PushedPath, type StoreImage } from "./pushed-closure.ts";
import { compareOwn, writeClosureDocument } from "./closure-document-writer.ts";
import { maxTagRoots } from "./closure-tag.ts";
import { parseJsonDocument, requireForm } from "./json-document.ts";
import { JsonFields } from "./json-fields.ts";
import { readDescriptor } from "./manifest-descriptor.ts";
import { parseSystem } from "./system.ts";
import { whatIsNotReached } from "./reach.ts";

const what = "the closure document";

/**
 * Reads a document, whoever wrote it. Only the bytes that the encoder makes are one: so each closure has one document,
 * and one digest.
 *
 * @throws closureIndexInvalid
 */
export function decodeClosureDocument(bytes: Uint8Array): ClosureDocument {
  const fields = parseJsonDocument(bytes, what);
  const version = fields.optional("version");
  if (version !== 1) {
    throw closureIndexInvalid(`${what} has a version that is not 1; a newer nix-closure may read it`);
  }
  const entries = fields
    .list("paths", 1, documentLimits.paths)
    .map((value, index) => new JsonFields(value, `paths[${index}]`));
  const storePaths = readNames(entries);
  const roots = pathsAt(fields.positions("roots", 1, storePaths.length), storePaths);
  if (roots.length > maxTagRoots) throw fields.wrong("roots", `at most ${maxTagRoots} are allowed`);
  const document: ClosureDocument = {
    system: fields.parsed("system", parseSystem),
    roots,
    paths: entries.map((entry, index) => readPath(entry, index, storePaths)),
    storeImages: [],
  };
  const whole = { ...document, storeImages: readStoreImages(fields, document) };
  const stray = whatIsNotReached(whole);
  if (stray !== undefined) throw closureIndexInvalid(`no root needs ${stray}`);
  requireForm(bytes, writeClosureDocument(whole), what);
  return whole;
}

/** Ascending by hash part, so that there is one path for each. */
function readNames(entries: readonly JsonFields[]): readonly StorePath[] {
  let last = "";
  return entries.map((entry) => {
    const storePath = entry.parsed("path", parseBaseName);
    const hash = storeHash(storePath);
    if (hash <= last) throw entry.wrong("path", "it is not in ascending order, each hash once");
    last = hash;
    return storePath;
  });
}

function readPath(entry: JsonFields, index: number, storePaths: readonly StorePath[]): PushedPath {
  const storePath = storePaths[index];
  if (storePath === undefined) throw entry.wrong("path", "it is missing");
  const type = entry.parsed("type", parseType);
  const hasManifest = entry.optional("manifest") !== undefined;
  if (hasManifest !== (type === "directory")) {
    throw entry.wrong("manifest", "a directory has one, and nothing else has");
  }
  return {
    storePath,
    narHash: entry.parsed("narHash", parseNarHash),
    narSize: entry.integer("narSize", 1, Number.MAX_SAFE_INTEGER),
    references: pathsAt(entry.positions("references", 0, storePaths.length), storePaths),
    signatures: readSignatures(entry),
    ...(entry.optional("ca") !== undefined && { contentAddress: entry.parsed("ca", parseContentAddress) }),
    type,
    ...(hasManifest && { manifest: readDescriptor(entry.object("manifest")) }),
  };
}

function readSignatures(entry: JsonFields): PushedPath["signatures"] {
  return entry.list("signatures", 0, documentLimits.signatures).map((value) => {
    const signature = typeof value === "string" ? parseSignature(value) : undefined;
    if (signature === undefined) throw entry.wrong("signatures", "one is not <key name>:<base64>");
    return signature;
  });
}

function readStoreImages(fields: JsonFields, { paths }: ClosureDocument): readonly StoreImage[] {
  const storePaths = paths.map(({ storePath }) => storePath);
  let last: readonly number[] | undefined;
  return fields.list("storeImages", 0, documentLimits.storeImages).map((value, index) => {
    const image = new JsonFields(value, `storeImages[${index}]`);
    const own = image.positions("own", 0, paths.length);
    if (own.some((position) => paths[position]?.type !== "directory")) {
      throw image.wrong("own", "only directories have volumes of their own");
    }
    if (last !== undefined && compareOwn(last, own) >= 0) {
      throw image.wrong("own", "store images are not in ascending order, each set of volumes once");
    }
    last = own;
    return { own: pathsAt(own, storePaths), manifest: readDescriptor(image.object("manifest")) };
  });
}

function pathsAt(positions: readonly number[], storePaths: readonly StorePath[]): readonly StorePath[] {
  return positions.flatMap((position) => storePaths[position] ?? []);
}

function parseNarHash(text: string): NarHash {
  const hash = parseSha256(text);
  if (hash !== text) throw new Error("it is not sha256: and 52 digits of nix32");
  return hash;
}

function parseType(text: string): PathType {
  if (text !== "directory" && text !== "regular" && text !== "symlink") {
    throw new Error("it is none of directory, regular and symlink");
  }
  return text;
}
