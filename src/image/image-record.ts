import { createHash } from "node:crypto";

import { baseName, parseBaseName } from "../nix/store-path.ts";
import { parseDigest } from "../oci/digest.ts";
import type { Layer } from "./layer-writer.ts";
import { type MountPoints, mountPoints } from "./mount-points.ts";

/** A layer of an image: a blob of the store, which several records may name. */
export interface ImageLayer extends Layer {
  /** What its bytes are made from: whatever has the same key has the same bytes. */
  readonly key: string;
}

/** An image that a tag answers with: all that its documents are made from. */
export interface ImageRecord {
  readonly repository: string;
  /** In its canonical form, with today's version. */
  readonly tag: string;
  /** The lowest first; one at least. */
  readonly layers: readonly ImageLayer[];
  /** The layer above them, which is no blob of the store; none: the image has only the others. */
  readonly mountPoints?: MountPoints;
  /** Of the image's config. */
  readonly labels: Readonly<Record<string, string>>;
  readonly createdBy: string;
  /** User and group of processes; none: the container's. */
  readonly user?: string;
}

/**
 * Of the file's format. Those before it, whose images had one layer beside their mount points, are not read: such an image
 * is made again when it is asked for.
 */
const recordVersion = 3;

/** A name for the record's file: the same for the same repository and tag. */
export function recordId({ repository, tag }: Pick<ImageRecord, "repository" | "tag">): string {
  return createHash("sha256").update(`${repository}:${tag}`).digest("hex");
}

/** The bytes of the record's file. */
export function encodeRecord(record: ImageRecord): Uint8Array {
  const { mountPoints: { names } = {}, ...rest } = record;
  return Buffer.from(`${JSON.stringify({ version: recordVersion, ...rest, mountPoints: names })}\n`);
}

/** Reads a record's file; undefined if it is damaged, or of another version. */
export function decodeRecord(bytes: Uint8Array): ImageRecord | undefined {
  try {
    const fields = fieldsOf(JSON.parse(Buffer.from(bytes).toString("utf8")));
    const { version, repository, tag, layers, mountPoints: names, labels, createdBy, user } = fields;
    if (version !== recordVersion) return undefined;
    return {
      repository: text(repository),
      tag: text(tag),
      layers: imageLayers(layers),
      ...(names !== undefined && { mountPoints: mountPoints(baseNames(names)) }),
      labels: Object.fromEntries(Object.entries(fieldsOf(labels)).map(([key, value]) => [key, text(value)])),
      createdBy: text(createdBy),
      ...(user !== undefined && { user: text(user) }),
    };
  } catch {
    // Whatever is wrong with it, it is made again.
    return undefined;
  }
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new TypeError("not an object");
  return value as Record<string, unknown>;
}

function imageLayers(value: unknown): readonly ImageLayer[] {
  if (!Array.isArray(value) || value.length === 0) throw new TypeError("not a list of layers");
  return value.map((layer) => {
    const { key, digest, size } = fieldsOf(layer);
    if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0)
      throw new TypeError("not a size");
    return { key: text(key), digest: parseDigest(text(digest)), size };
  });
}

function baseNames(value: unknown): readonly string[] {
  if (!Array.isArray(value)) throw new TypeError("not a list");
  return value.map((name) => baseName(parseBaseName(text(name))));
}

function text(value: unknown): string {
  if (typeof value !== "string") throw new TypeError("not a text");
  return value;
}
