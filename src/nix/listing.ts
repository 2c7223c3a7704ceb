import { listingInvalid, quote } from "../errors.ts";
import type { PathType } from "./closure.ts";

/** What we take from a listing. */
export interface Listing {
  /** The type of the store path itself. */
  readonly type: PathType;
}

/**
 * Reads a `.ls` file of a binary cache, version 1: `{"version": 1, "root": {"type": ..., ...}}`.
 *
 * Only the root is looked at; below it, any JSON will do. The caller limits the size of the input.
 *
 * @throws listingInvalid
 */
export function parseListing(bytes: Uint8Array): Listing {
  const listing = parseJson(bytes);
  if (!isObject(listing)) throw listingInvalid("it is not a JSON object");
  if (listing["version"] !== 1) throw listingInvalid(`version ${show(listing["version"])} is not 1`);
  const root = listing["root"];
  if (!isObject(root)) throw listingInvalid("root is not an object");
  return { type: rootType(root) };
}

/** Old versions of Nix write file names as they are, in any encoding. None is read here, so none is decoded. */
function parseJson(bytes: Uint8Array): unknown {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw listingInvalid("it is not JSON").causedBy(cause);
  }
}

/** The type, if the root has what a node of this type needs. */
function rootType(root: Readonly<Record<string, unknown>>): PathType {
  switch (root["type"]) {
    case "directory":
      if (!isObject(root["entries"])) throw listingInvalid("the root, a directory, has no entries");
      return "directory";
    case "regular":
      return "regular";
    case "symlink":
      if (typeof root["target"] !== "string") throw listingInvalid("the root, a symlink, has no target");
      return "symlink";
    default:
      throw listingInvalid(`the root's type ${show(root["type"])} is not known`);
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value for a message; of an object only that it is one, whatever its size and depth. */
function show(value: unknown): string {
  if (typeof value === "string") return quote(value);
  return typeof value === "number" ? String(value) : typeof value;
}
