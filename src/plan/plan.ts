import { formatBytes, imageTooLarge, internal, strategyUnavailable, tooManyRoots } from "../errors.ts";
import type { Closure, PathType } from "../nix/closure.ts";
import { baseName, storeDirectory, storeHash, type StorePath } from "../nix/store-path.ts";
import { closureCheck, encodeDecision } from "./decision.ts";
import { reduceRoots } from "./graph.ts";
import { conversionVersion, imageReference, maxRoots, type ImageName } from "./image-name.ts";

/** How a plan is chosen (docs/annotations.md). */
export type Strategy = "auto" | "per-path" | "packed" | "bundle";
export const strategies: readonly Strategy[] = ["auto", "per-path", "packed", "bundle"];

/** One image volume of a plan. */
export interface PlannedVolume {
  /** Wished name of the Pod's volume: a DNS label. */
  readonly name: string;
  readonly image: ImageName;
  /** Image reference, `<host>/<repository>:<tag>`. */
  readonly reference: string;
  readonly mountPath: string;
  /** The paths whose content is in the image. */
  readonly storePaths: readonly StorePath[];
  /** Sum of their NarSize, in bytes. */
  readonly narSize: number;
}

/** The volumes that carry a closure. */
export interface Plan {
  readonly source: string;
  readonly strategy: Exclude<Strategy, "auto">;
  readonly closure: Closure;
  /** Store image first, then roots, then the rest by hash: the first request tells the registry the plan. */
  readonly volumes: readonly PlannedVolume[];
}

/** What planning needs to know. */
export interface PlanInput {
  readonly source: string;
  readonly closure: Closure;
  /** At least those of {@link typesNeeded}. */
  readonly types: ReadonlyMap<StorePath, PathType>;
  readonly strategy: Strategy;
  /** Roots that are mounted as a profile: directories among them get volumes of their own whatever the strategy. */
  readonly profileRoots: ReadonlySet<StorePath>;
  /** Host part of image references. */
  readonly host: string;
  /** The largest single image that the registry can hold, in bytes. */
  readonly maxImageBytes: number;
}

/** The paths whose type {@link planClosure} has to know. */
export function typesNeeded(closure: Closure, strategy: Strategy): readonly StorePath[] {
  return strategy === "bundle" ? closure.roots : closure.paths.map((info) => info.storePath);
}

/**
 * Chooses the volumes of a closure.
 * @throws tooManyRoots, imageTooLarge, strategyUnavailable
 */
export function planClosure(input: PlanInput): Plan {
  const strategy = effectiveStrategy(input.strategy);
  const { closure, types, source, host } = input;
  const isDirectory = (path: StorePath): boolean => types.get(path) === "directory";
  const candidates =
    strategy === "per-path" ? closure.paths.map((info) => info.storePath) : input.profileRoots;
  const own = new Set([...candidates].filter(isDirectory));

  const roots = reduceRoots(closure);
  const limit = maxRoots(host, source);
  if (roots.length > limit) throw tooManyRoots(roots.length, limit);

  const volumes: PlannedVolume[] = [];
  const shared = closure.paths.filter((info) => !own.has(info.storePath));
  if (shared.length > 0) {
    const decision = encodeDecision(closure, own, types);
    if (decision === undefined) throw internal(`the plan of ${roots.join(", ")} does not fit into a tag`);
    const check = closureCheck(conversionVersion, closure, decision);
    const image: ImageName = {
      kind: "store",
      source,
      roots: roots.map(storeHash),
      version: conversionVersion,
      decision,
      check,
    };
    volumes.push({
      name: `nix-store-${check}`,
      image,
      reference: imageReference(host, image),
      mountPath: storeDirectory,
      storePaths: shared.map((info) => info.storePath),
      narSize: shared.reduce((sum, info) => sum + info.narSize, 0),
    });
  }
  const rootSet = new Set(closure.roots);
  const ownPaths = [
    ...[...rootSet].filter((root) => own.has(root)),
    ...closure.paths.map((info) => info.storePath).filter((path) => own.has(path) && !rootSet.has(path)),
  ];
  for (const path of ownPaths) volumes.push(pathVolume(path, input));

  for (const volume of volumes) {
    if (volume.narSize > input.maxImageBytes) {
      const what =
        volume.image.kind === "path" ? volume.mountPath : `the closure of ${roots.map(baseName).join(", ")}`;
      const fix = `raise registry.blobs.maxBytes${strategy === "per-path" ? "" : ", or use strategy per-path"}`;
      throw imageTooLarge(what, formatBytes(volume.narSize), formatBytes(input.maxImageBytes), fix);
    }
  }
  return { source, strategy, closure, volumes };
}

function pathVolume(path: StorePath, { source, host, closure }: PlanInput): PlannedVolume {
  const hash = storeHash(path);
  const image: ImageName = { kind: "path", source, hash, version: conversionVersion };
  return {
    name: `nix-${hash}`,
    image,
    reference: imageReference(host, image),
    mountPath: path,
    storePaths: [path],
    narSize: closure.byPath.get(path)?.narSize ?? 0,
  };
}

function effectiveStrategy(strategy: Strategy): Exclude<Strategy, "auto"> {
  if (strategy === "packed") throw strategyUnavailable(strategy);
  return strategy === "auto" ? "per-path" : strategy;
}
