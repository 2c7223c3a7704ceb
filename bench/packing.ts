/**
 * What packing costs in bytes, and whether it chooses well: fleets of applications on one node, packed into the images
 * that a Pod of one container may have on a stock kubelet. Nothing is timed.
 */
import { contentLayers } from "../src/image/content-layers.ts";
import { pullBudget } from "../src/plan/budget.ts";
import { packClosures } from "../src/plan/packing.ts";
import { pathValue } from "../src/plan/value.ts";
import type { StorePath } from "../src/nix/store-path.ts";
import { makeFleet, type App, type FleetShape, type TypedGraph } from "./app-graphs.ts";
import { demoFleet } from "./demo-fleet.ts";
import type { Figure, Goal } from "./figure.ts";
import { otherValues } from "./path-values.ts";

/** The kubelet's own defaults, and a Pod with one image of its own. */
const maxImages = pullBudget({ registryPullQPS: 5, registryBurst: 10 }, 1);

/** Made-up fleets: of one base or several, with or without packages that only some applications have. */
const shapes: Readonly<Record<string, FleetShape>> = {
  "12 apps, one base": { bases: 1, appsPerBase: 12, extras: 0 },
  "12 apps, one base and extras": { bases: 1, appsPerBase: 12, extras: 4 },
  "20 apps, 5 bases": { bases: 5, appsPerBase: 4, extras: 4 },
  "15 apps, 15 bases": { bases: 15, appsPerBase: 1, extras: 4 },
};

/** Chooses the paths that get images of their own. */
type Way = (graph: TypedGraph) => ReadonlySet<StorePath>;

/** Bytes that a node pulls, each layer once. */
interface Bytes {
  /** For all applications, beginning with nothing. They are what it stores then. */
  readonly stored: number;
  /** And then for the next version of each. */
  readonly pulled: number;
}

const directories: Way = ({ closure, types }) =>
  new Set(closure.paths.map((info) => info.storePath).filter((path) => types.get(path) === "directory"));
const roots: Way = ({ closure, types }) =>
  new Set(closure.roots.filter((path) => types.get(path) === "directory"));

function packedBy(valueOf: typeof pathValue): Way {
  return ({ closure, types }) => {
    const wanted = { source: "bench", closure, types, profileRoots: new Set(closure.roots) };
    return packClosures([wanted], maxImages, valueOf)[0] ?? new Set();
  };
}

/** The floor, the ceiling, what is built in, and what might have been. */
const ways: Readonly<Record<string, Way>> = {
  perPath: directories,
  bundle: roots,
  size: packedBy(pathValue),
  ...Object.fromEntries(Object.entries(otherValues).map(([name, valueOf]) => [name, packedBy(valueOf)])),
};

/**
 * The layers of a closure's images by what tells them apart. Those with the content of a store image are functions of
 * their paths alone, so that closures with the same rest share them.
 */
function layersOf({ closure }: TypedGraph, own: ReadonlySet<StorePath>): ReadonlyMap<string, number> {
  const layers = new Map<string, number>();
  const rest = closure.paths.filter(({ storePath }) => !own.has(storePath)).map((info) => ({ info }));
  for (const { storePath, narSize } of closure.paths) if (own.has(storePath)) layers.set(storePath, narSize);
  for (const paths of contentLayers(rest)) {
    const names = paths.map(({ info }) => info.storePath).join();
    layers.set(
      `store ${names}`,
      paths.reduce((total, { info }) => total + info.narSize, 0),
    );
  }
  return layers;
}

function bytesOf(fleet: readonly App[], way: Way): Bytes {
  const node = new Set<string>();
  const pull = (graph: TypedGraph): number => {
    let bytes = 0;
    for (const [layer, size] of layersOf(graph, way(graph))) {
      if (!node.has(layer)) bytes += size;
      node.add(layer);
    }
    return bytes;
  };
  const sum = (graphs: readonly TypedGraph[]): number =>
    graphs.reduce((total, graph) => total + pull(graph), 0);
  return { stored: sum(fleet.map(({ now }) => now)), pulled: sum(fleet.map(({ next }) => next)) };
}

/** Ratios to per-path, geometric means over fleets of one kind. */
interface Ratios {
  readonly stored: number;
  readonly pulled: number;
  readonly together: number;
}

function compare(fleets: readonly (readonly App[])[]): Readonly<Record<string, Ratios>> {
  const floors = fleets.map((fleet) => bytesOf(fleet, directories));
  const ratios = (way: Way): Ratios => {
    const bytes = fleets.map((fleet) => bytesOf(fleet, way));
    const mean = (of: (bytes: Bytes) => number): number =>
      geometricMean(bytes.map((one, i) => of(one) / of(floors[i] ?? one)));
    return {
      stored: mean(({ stored }) => stored),
      pulled: mean(({ pulled }) => pulled),
      together: mean(({ stored, pulled }) => stored + pulled),
    };
  };
  return Object.fromEntries(Object.entries(ways).map(([name, way]) => [name, ratios(way)]));
}

export async function measure({ quick }: { readonly quick: boolean }): Promise<Figure> {
  const rounds = quick ? 1 : 20;
  const seeds = Array.from({ length: rounds }, (_, i) => i + 1);
  const results: Record<string, Readonly<Record<string, Ratios>>> = {
    "demo cache": compare([demoFleet()]),
  };
  for (const [name, shape] of Object.entries(shapes))
    results[name] = compare(seeds.map((seed) => makeFleet(seed, shape)));
  const chosen = meanOf(results, "size");
  const others = Object.keys(otherValues).map((name): Goal => {
    const what = `bytes, ratio to packing by ${name}`;
    return { what, measured: chosen.together / meanOf(results, name).together, atMost: 1 };
  });
  return {
    name: "packing",
    rounds,
    goals: [
      { what: "bytes stored, ratio to per-path (floor)", measured: chosen.stored, atMost: 2 },
      {
        what: "bytes stored, ratio to bundle (ceiling)",
        measured: chosen.stored / meanOf(results, "bundle").stored,
        atMost: 0.6,
      },
      {
        what: "bytes pulled for new versions, ratio to bundle (ceiling)",
        measured: chosen.pulled / meanOf(results, "bundle").pulled,
        atMost: 0.6,
      },
      ...others,
    ],
    measurements: { maxImages, ratiosToPerPath: results },
  };
}

/** Over all kinds of fleets. */
function meanOf(results: Readonly<Record<string, Readonly<Record<string, Ratios>>>>, way: string): Ratios {
  const of = (field: keyof Ratios): number =>
    geometricMean(Object.values(results).map((ratios) => ratios[way]?.[field] ?? Number.NaN));
  return { stored: of("stored"), pulled: of("pulled"), together: of("together") };
}

function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}
