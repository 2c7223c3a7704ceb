import { createHash } from "node:crypto";

import { closureCheckMismatch } from "../errors.ts";
import type { Closure } from "../nix/closure.ts";
import type { PathInfo } from "../nix/path-info.ts";
import { baseName, type StorePath } from "../nix/store-path.ts";
import { closureCheck, decisionNeedsTypes, decodeDecision } from "../plan/decision.ts";
import {
  type BaseImageName,
  conversionVersion,
  formatImageName,
  type ImageName,
  type PathImageName,
  type StoreImageName,
} from "../plan/image-name.ts";
import type { NarLocation } from "../resolver/nar-location.ts";
import type { Resolver } from "../resolver/resolver.ts";
import { mapBounded } from "../resolver/slots.ts";
import { baseUser } from "./base-image.ts";
import { contentLayers } from "./content-layers.ts";
import type { ImageRecord } from "./image-record.ts";
import { mountPoints } from "./mount-points.ts";

/** An image before its layers are there, and what those are made of. */
export interface ImagePlan {
  readonly kind: ImageName["kind"];
  /** Where the paths come from; none for the base image, which has none. */
  readonly source?: string;
  readonly image: Omit<ImageRecord, "layers">;
  /** The lowest first. */
  readonly layers: readonly LayerPlan[];
}

/** A layer before it is there. */
export interface LayerPlan {
  /** What its bytes are made from: whatever has the same key has the same bytes. */
  readonly key: string;
  /** In the layer's order; none for the base image. */
  readonly paths: readonly PlannedPath[];
}

/** A store path in a layer. */
export interface PlannedPath {
  readonly info: PathInfo;
  /** Of its root in the layer; empty: the root is the layer's. */
  readonly name: string;
  /** What the content must have beside NarHash: the content addresses that the path is trusted for, without a signature. */
  readonly contentAddresses: readonly string[];
}

/** Paths whose caches are asked at a time where their NARs are: as many as one cache has connections. */
export const locatedAtATime = 64;

const labelPrefix = "org.nix-closure";

/**
 * Finds out what an image is made of, from caches that are asked now: so only what the image's own source vouches for
 * today is looked up in the store.
 *
 * @throws closureCheckMismatch, and the resolver's errors
 */
export async function planImage(
  resolver: Resolver,
  name: ImageName,
  signal: AbortSignal,
): Promise<ImagePlan> {
  switch (name.kind) {
    case "path":
      return planPath(resolver, name, signal);
    case "store":
      return planStore(resolver, name, signal);
    case "base":
      return planBase(name);
  }
}

/**
 * Where the NAR of a path is, without the caches that say now that it has another hash. Where a content address stands for
 * a signature, it decides: the content is held against it, and a hash may be another cache's lie.
 *
 * @returns none if all say so: what was resolved is out of date.
 */
export async function locate(
  resolver: Resolver,
  source: string,
  info: PathInfo,
  signal: AbortSignal,
): Promise<readonly NarLocation[]> {
  const locations = await resolver.narLocations(source, info.storePath, signal);
  return locations.filter(
    ({ narHash, contentAddress }) => narHash === info.narHash || contentAddress !== undefined,
  );
}

async function planPath(resolver: Resolver, name: PathImageName, signal: AbortSignal): Promise<ImagePlan> {
  const info = await resolver.lookup(name.source, name.hash, signal);
  const path = await planOne(resolver, name.source, info, "", signal);
  return {
    kind: "path",
    source: name.source,
    image: {
      ...formatImageName({ ...name, version: conversionVersion }),
      ...pathImageText(info.storePath),
    },
    layers: [{ key: pathLayerKey(path), paths: [path] }],
  };
}

async function planStore(resolver: Resolver, name: StoreImageName, signal: AbortSignal): Promise<ImagePlan> {
  const { source, roots, decision } = name;
  const closure = await resolver.resolveHashes(source, roots, signal);
  const check = closureCheck(name.version, closure, decision);
  if (check !== name.check) {
    const { repository, tag } = formatImageName(name);
    throw closureCheckMismatch(`${repository}:${tag}`, name.check, check);
  }
  const own = await pathsWithVolumes(resolver, name, closure, signal);
  const { content, mounted } = layersOf(closure, own);
  const paths = await mapBounded(content, locatedAtATime, async (info) =>
    planOne(resolver, source, info, baseName(info.storePath), signal),
  );
  const today = closureCheck(conversionVersion, closure, decision);
  return {
    kind: "store",
    source,
    image: {
      ...formatImageName({ ...name, version: conversionVersion, check: today }),
      ...(mounted.length > 0 && { mountPoints: mountPoints(mounted) }),
      ...storeImageText(closure.roots, decision),
    },
    layers: contentLayers(paths).map((layer) => ({ key: storeLayerKey(layer), paths: layer })),
  };
}

function planBase(name: BaseImageName): ImagePlan {
  return {
    kind: "base",
    image: { ...formatImageName({ ...name, version: conversionVersion }), ...baseText() },
    layers: [{ key: `base ${conversionVersion}`, paths: [] }],
  };
}

/** All but the name and the layer of the base image. */
export function baseText(): ImageText & { readonly user: string } {
  return {
    labels: { [`${labelPrefix}.base`]: String(conversionVersion) },
    createdBy: createdBy("base image"),
    user: baseUser,
  };
}

/**
 * The paths of a store image's closure that have volumes of their own.
 *
 * @throws imageNameInvalid, and the resolver's errors
 */
export async function pathsWithVolumes(
  resolver: Resolver,
  { source, decision }: StoreImageName,
  closure: Closure,
  signal: AbortSignal,
): Promise<ReadonlySet<StorePath>> {
  if (!decisionNeedsTypes(decision)) return decodeDecision(decision, closure, new Map());
  const all = closure.paths.map(({ storePath }) => storePath);
  return decodeDecision(decision, closure, await resolver.pathTypes(source, all, signal));
}

/** What the config of an image says of itself. */
export interface ImageText {
  readonly labels: Readonly<Record<string, string>>;
  readonly createdBy: string;
}

/** The words of a path image. */
export function pathImageText(storePath: StorePath): ImageText {
  return { labels: { [`${labelPrefix}.store-path`]: storePath }, createdBy: createdBy(storePath) };
}

/** The words of a store image; a decision that is too long for a tag is left out. */
export function storeImageText(roots: readonly StorePath[], decision: string | undefined): ImageText {
  const rootPaths = roots.toSorted().join(" ");
  return {
    labels: {
      [`${labelPrefix}.roots`]: rootPaths,
      ...(decision !== undefined && { [`${labelPrefix}.decision`]: decision }),
    },
    createdBy: createdBy(rootPaths),
  };
}

/** What a store image holds: the content of paths, and base names of mount points; in their order. */
export function layersOf(
  closure: Closure,
  own: ReadonlySet<StorePath>,
): { readonly content: readonly PathInfo[]; readonly mounted: readonly string[] } {
  const ordered = inLayerOrder(closure);
  return {
    content: ordered.filter(({ storePath }) => !own.has(storePath)),
    mounted: ordered.flatMap(({ storePath }) => (own.has(storePath) ? [baseName(storePath)] : [])),
  };
}

/** By the bytes of their base names, so that the layer is the same wherever it is made. */
function inLayerOrder(closure: Closure): readonly PathInfo[] {
  return closure.paths.toSorted((a, b) =>
    Buffer.compare(Buffer.from(baseName(a.storePath)), Buffer.from(baseName(b.storePath))),
  );
}

/**
 * Plans a path of a layer.
 *
 * @param name of its root in the layer; empty: the root is the layer's.
 */
export async function planOne(
  resolver: Resolver,
  source: string,
  info: PathInfo,
  name: string,
  signal: AbortSignal,
): Promise<PlannedPath> {
  // Whether a content address stands for a missing signature, only the locations tell. All that are found count,
  // whichever the content comes from then: the layer's key says what was checked.
  const claimed = info.contentAddress === undefined ? [] : await locate(resolver, source, info, signal);
  const addresses = claimed.flatMap(({ contentAddress }) => contentAddress ?? []);
  return { info, name, contentAddresses: [...new Set(addresses)].toSorted() };
}

/** What the layer of a path image is made from. */
export function pathLayerKey({ info, contentAddresses }: PlannedPath): string {
  return ["path", conversionVersion, info.narHash, ...contentAddresses].join(" ");
}

/** Of the layer's content alone: images that differ in other paths, their roots and mount points share it. */
export function storeLayerKey(paths: readonly PlannedPath[]): string {
  const hash = createHash("sha256").update(`${conversionVersion}\n`);
  for (const { info, name, contentAddresses } of paths) {
    hash.update(`${[name, info.narHash, ...contentAddresses].join(" ")}\n`);
  }
  return `store ${hash.digest("hex")}`;
}

function createdBy(what: string): string {
  return `nix-closure, conversion ${conversionVersion}: ${what}`;
}
