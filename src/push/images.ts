import { architectures, type System } from "../closure-index/system.ts";
import { type ElfMachine, joinMachines } from "../image/elf-machines.ts";
import type { LayerConverter, PlannedLayer } from "../image/layer-converter.ts";
import { type PushedImage, pushedPathImage, pushedStoreImage } from "../image/pushed-image.ts";
import type { StorePath } from "../nix/store-path.ts";
import type { Document } from "../oci/documents.ts";
import { encodeDecision } from "../plan/decision.ts";
import { mapBounded } from "../resolver/slots.ts";
import type { Blobs } from "./blobs.ts";
import type { KnownLayer } from "./layer-memo.ts";
import type { Layers } from "./layers.ts";
import { systemOf } from "./system.ts";
import type { WantedClosure } from "./wanted-closure.ts";

/** The images of a closure, all of which are in the repository. */
export interface ClosureImages {
  readonly system: System;
  /** Manifest of each directory's path image. */
  readonly paths: ReadonlyMap<StorePath, Document>;
  /** Manifest of each store image, in the closure's order. */
  readonly storeImages: readonly Document[];
}

/** What images are made with. */
export interface ImageSurroundings {
  readonly converter: LayerConverter;
  readonly blobs: Blobs;
  readonly layers: Layers;
  readonly signal: AbortSignal;
  /** Something is odd, in words. */
  readonly warn: (text: string) => void;
}

/** The layers with content of a closure's images. */
interface PlannedLayers {
  /** Of the path images: of all directories. */
  readonly paths: readonly (readonly [StorePath, PlannedLayer])[];
  /** Of the store images, in their order; of each the lowest first. */
  readonly storeImages: readonly (readonly PlannedLayer[])[];
}

/** Paths of which is found out what their layer is made of, at a time. */
const plannedAtATime = 64;
/** Layers that are looked for, made or sent at a time. */
const layersAtATime = 32;
/** Images whose documents are looked for or sent at a time. */
const imagesAtATime = 16;

/**
 * Sees to it that a repository has the images of a closure: their layers first, then configs, then manifests.
 *
 * @throws systemUnclear, and the errors of resolver, conversion and registry
 */
export async function ensureImages(wanted: WantedClosure, around: ImageSurroundings): Promise<ClosureImages> {
  const planned = await planLayers(wanted, around);
  const made = await ensureLayers(planned, around.layers);
  const machine = [...made.values()].reduce<ElfMachine>(
    (joined, layer) => joinMachines(joined, layer.machine),
    "none",
  );
  const system = systemOf(wanted.closure.roots, machine, wanted.system, around.warn);
  const layerOf = ({ key }: PlannedLayer): KnownLayer => made.get(key) as KnownLayer;

  const storeImages = await mapBounded(
    [...planned.storeImages.entries()],
    imagesAtATime,
    async ([at, layers]) => {
      const own = wanted.storeImages[at] ?? new Set();
      return ensureStoreImage(wanted, own, layers.map(layerOf), system, around);
    },
  );
  const paths = await mapBounded(planned.paths, imagesAtATime, async ([path, layer]) => {
    const image = pushedPathImage(architectures[system], path, layerOf(layer));
    return [path, await ensureDocuments(image, around.blobs)] as const;
  });
  return { system, storeImages, paths: new Map(paths) };
}

async function planLayers(
  { closure, types, storeImages }: WantedClosure,
  { converter, signal }: ImageSurroundings,
): Promise<PlannedLayers> {
  const directories = closure.paths.filter(({ storePath }) => types.get(storePath) === "directory");
  return {
    paths: await mapBounded(directories, plannedAtATime, async (info) => {
      return [info.storePath, await converter.planPath(info, signal)] as const;
    }),
    storeImages: await mapBounded(storeImages, 1, async (own) => converter.planContent(closure, own, signal)),
  };
}

/** By key. The largest come first: begun last, one of them would keep a single thread busy in the end. */
async function ensureLayers(
  { paths, storeImages }: PlannedLayers,
  layers: Layers,
): Promise<ReadonlyMap<string, KnownLayer>> {
  const all = [...storeImages.flat(), ...paths.map(([, layer]) => layer)];
  const byKey = new Map(all.map((layer) => [layer.key, layer]));
  const ordered = [...byKey.values()].toSorted((a, b) => b.narSize - a.narSize);
  layers.expect(ordered);
  const made = await mapBounded(ordered, layersAtATime, async (layer) => layers.ensure(layer));
  return new Map(ordered.map(({ key }, at) => [key, made[at] as KnownLayer]));
}

async function ensureStoreImage(
  { closure, types }: WantedClosure,
  own: ReadonlySet<StorePath>,
  content: readonly KnownLayer[],
  system: System,
  { converter, blobs }: ImageSurroundings,
): Promise<Document> {
  const mountPoints = own.size === 0 ? undefined : await converter.mountPoints(closure, own);
  if (mountPoints !== undefined) {
    await blobs.ensure({ digest: mountPoints.layer.digest, bytes: mountPoints.bytes });
  }
  const image = pushedStoreImage(architectures[system], {
    roots: closure.roots,
    decision: encodeDecision(closure, own, types),
    content,
    mountPoints: mountPoints?.layer,
  });
  return ensureDocuments(image, blobs);
}

async function ensureDocuments({ config, manifest }: PushedImage, blobs: Blobs): Promise<Document> {
  await blobs.ensure(config);
  await blobs.ensureManifest(manifest);
  return manifest;
}
