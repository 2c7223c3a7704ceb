import { createHash } from "node:crypto";

import { baseName, parseBaseName } from "../nix/store-path.ts";
import { parseDigest } from "../oci/digest.ts";
import type { Layer } from "./layer-writer.ts";
import { type MountPoints, mountPoints } from "./mount-points.ts";

/**
 * An image that a tag answers with: all that its documents are made from. The layer is a blob of the store, and several
 * records may name it.
 */
export interface ImageRecord {
  readonly repository: string;
  /** In its canonical form, with today's version. */
  readonly tag: string;
  /** What the layer's bytes are made from: whatever has the same key has the same bytes. */
  readonly layerKey: string;
  readonly layer: Layer;
  /** The layer above it, which is no blob of the store; none: the image has one layer. */
  readonly mountPoints?: MountPoints;
  /** Of the image's config. */
  readonly labels: Readonly<Record<string, string>>;
  readonly createdBy: string;
  /** User and group of processes; none: the container's. */
  readonly user?: string;
}

/**
 * Of the file's format; others are not read. Only an image with mount points needs the second: who knows the first alone
 * would serve it without them.
 */
const recordVersions = { oneLayer: 1, mountPoints: 2 } as const;

/** A name for the record's file: the same for the same repository and tag. */
export function recordId({ repository, tag }: Pick<ImageRecord, "repository" | "tag">): string {
  return createHash("sha256").update(`${repository}:${tag}`).digest("hex");
}

/** The bytes of the record's file. */
export function encodeRecord(record: ImageRecord): Uint8Array {
  const { mountPoints: { names } = {}, ...rest } = record;
  const version = names === undefined ? recordVersions.oneLayer : recordVersions.mountPoints;
  return Buffer.from(`${JSON.stringify({ version, ...rest, mountPoints: names })}\n`);
}

/** Reads a record's file; undefined if it is damaged, or of another version. */
export function decodeRecord(bytes: Uint8Array): ImageRecord | undefined {
  try {
    const {
      version,
      repository,
      tag,
      layerKey,
      layer,
      mountPoints: names,
      labels,
      createdBy,
      user,
    } = fieldsOf(JSON.parse(Buffer.from(bytes).toString("utf8")));
    if (version !== (names === undefined ? recordVersions.oneLayer : recordVersions.mountPoints))
      return undefined;
    const { digest, size } = fieldsOf(layer);
    if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) return undefined;
    return {
      repository: text(repository),
      tag: text(tag),
      layerKey: text(layerKey),
      layer: { digest: parseDigest(text(digest)), size },
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

function baseNames(value: unknown): readonly string[] {
  if (!Array.isArray(value)) throw new TypeError("not a list");
  return value.map((name) => baseName(parseBaseName(text(name))));
}

function text(value: unknown): string {
  if (typeof value !== "string") throw new TypeError("not a text");
  return value;
}
