import type { ClosureDocument, ManifestDescriptor } from "../closure-index/closure-document.ts";
import { imagesOf } from "../closure-index/closure-index.ts";
import { closureTag } from "../closure-index/closure-tag.ts";
import type { System } from "../closure-index/system.ts";
import { type LayerCompression, layerMediaTypes } from "../image/layer-compression.ts";
import type { LayerConverter } from "../image/layer-converter.ts";
import type { PathType } from "../nix/closure.ts";
import { publicKeyOf, type SecretKey } from "../nix/secret-key.ts";
import type { StorePath } from "../nix/store-path.ts";
import type { Digest } from "../oci/digest.ts";
import type { Repository } from "../registry-client/repository.ts";
import type { Resolver } from "../resolver/resolver.ts";
import { mapBounded } from "../resolver/slots.ts";
import type { Blobs } from "./blobs.ts";
import { finishClosure } from "./closure-documents.ts";
import type { Layers } from "./layers.ts";
import { chooseStoreImages, type StoreImageChoice } from "./plan-choice.ts";
import {
  findPresentClosure,
  isSameClosure,
  type PresentClosure,
  type WholeClosure,
} from "./present-closure.ts";
import { ensureImages } from "./images.ts";
import type { WantedClosure } from "./wanted-closure.ts";

/** Where a cache has no listings, the start of each NAR is read, with a decoder of some megabytes. */
const typesAtATime = 4;

/** What is to be pushed, and how. */
export interface PushRequest {
  readonly roots: readonly StorePath[];
  readonly plans: readonly StoreImageChoice[];
  /** `plan.maxVolumes` of the configuration. */
  readonly maxVolumes: number;
  /** Undefined: that of the programs in the closure. */
  readonly system: System | undefined;
  /** The name of a key whose signatures are not to be told of; it was made for this push. */
  readonly hiddenKey: string | undefined;
}

/** What a push works with. */
export interface PushSurroundings {
  readonly resolver: Resolver;
  /** Where it finds the closure. */
  readonly source: string;
  readonly converter: LayerConverter;
  readonly compression: LayerCompression;
  /** Undefined only in a dry run. */
  readonly signKey: SecretKey | undefined;
  /** Makes and checks everything, whatever is there. */
  readonly force: boolean;
  readonly repository: Repository;
  readonly blobs: Blobs;
  readonly layers: Layers;
  readonly signal: AbortSignal;
  readonly observer: PushObserver;
}

/** Hears what a push does. */
export interface PushObserver {
  /** The closure is known, and what is to be made of it. */
  planned(closure: WantedClosure): void;
  /** Something is odd, in words. */
  warn(text: string): void;
}

/** A closure that is in the repository now. */
export interface PushedClosure {
  readonly tag: string;
  readonly roots: readonly StorePath[];
  readonly system: System;
  readonly paths: number;
  /** Bytes, uncompressed. */
  readonly narSize: number;
  readonly images: number;
  /** The closure document as it is there, and its descriptor. */
  readonly document: ClosureDocument;
  readonly documentDescriptor: ManifestDescriptor;
  /** Of the index; undefined in a dry run without a key, which it depends on. */
  readonly digest: Digest | undefined;
  /** Of the index that was under the tag, if it is another one. */
  readonly replaced: Digest | undefined;
  /** It was there already. */
  readonly unchanged: boolean;
}

/**
 * Puts the closure of some roots into a repository: blobs first, then the manifests that name them, and the index under its
 * tag last. So whatever ends this in its middle leaves no index that names what is not there.
 *
 * @throws systemUnclear, tooManyTogether, pushedClosureTooLarge, scratchFailed, and the errors of resolver, conversion and
 * registry
 */
export async function pushClosure(request: PushRequest, around: PushSurroundings): Promise<PushedClosure> {
  const { blobs, signKey, force, observer } = around;
  const wanted = await planPush(request, around);
  const present = await lookForClosure(around, wanted.tag);
  const { tag, closure } = wanted;
  const common = { tag, roots: closure.roots, paths: closure.paths.length, narSize: closure.narSize };
  const { whole } = present ?? {};
  if (present !== undefined && whole !== undefined && !force && isThere(whole, around, wanted)) {
    const { document, documentDescriptor } = whole;
    const { digest } = present;
    const images = imagesOf(document).length;
    const there = { document, documentDescriptor, system: document.system, images };
    return { ...common, ...there, digest, replaced: undefined, unchanged: true };
  }
  observer.planned(wanted);
  const images = await ensureImages(wanted, { ...around, warn: (text) => observer.warn(text) });
  const finished = await finishClosure(wanted, images, { blobs, signKey, hiddenKey: request.hiddenKey });
  const { digest } = finished;
  const replaced = present?.digest === digest ? undefined : present?.digest;
  return {
    ...common,
    ...finished,
    images: images.paths.size + images.storeImages.length,
    system: images.system,
    replaced,
    unchanged: false,
  };
}

async function planPush(
  { roots, plans, maxVolumes, system }: PushRequest,
  { resolver, source, signal }: PushSurroundings,
): Promise<WantedClosure> {
  const tag = closureTag(roots);
  const closure = await resolver.resolve(source, roots, signal);
  const types = new Map<StorePath, PathType>();
  await mapBounded(closure.paths, typesAtATime, async ({ storePath }) => {
    for (const [path, type] of await resolver.pathTypes(source, [storePath], signal)) types.set(path, type);
  });
  const storeImages = chooseStoreImages({ closure, types }, plans, maxVolumes);
  return { tag, closure, types, storeImages, system };
}

async function lookForClosure(
  { signKey, repository, signal }: PushSurroundings,
  tag: string,
): Promise<PresentClosure | undefined> {
  // Without a key nothing there can be told from somebody else's.
  if (signKey === undefined) return undefined;
  return findPresentClosure(repository, tag, publicKeyOf(signKey), signal);
}

function isThere(
  { document, layerMediaType }: WholeClosure,
  { compression }: PushSurroundings,
  wanted: WantedClosure,
): boolean {
  return layerMediaType === layerMediaTypes[compression] && isSameClosure(document, wanted);
}
