import { internal } from "../errors.ts";
import type { Closure, PathType } from "../nix/closure.ts";
import { storeDirectory, storeHash, type StorePath } from "../nix/store-path.ts";
import { closureCheck, encodeDecision } from "./decision.ts";
import { conversionVersion, imageReference, type PathImageName, type StoreImageName } from "./image-name.ts";
import type { PushedImage } from "./pushed-volumes.ts";

/** One image volume of a plan. */
export interface PlannedVolume {
  /** Wished name of the Pod's volume: a DNS label. */
  readonly name: string;
  readonly image: PathImageName | StoreImageName | PushedImage;
  /** Image reference, `<host>/<repository>:<tag>` or `<host>/<repository>@<digest>`. */
  readonly reference: string;
  readonly mountPath: string;
  /** The paths whose content is in the image. */
  readonly storePaths: readonly StorePath[];
  /** Sum of their NarSize, in bytes. */
  readonly narSize: number;
}

/** The images of a closure, without what follows from their place. */
export interface ClosureImages {
  /** undefined: there is none, since nothing is left for it. */
  readonly store?: Pick<PlannedVolume, "name" | "image" | "reference" | "storePaths">;
  readonly path: (path: StorePath) => Pick<PlannedVolume, "image" | "reference">;
}

/**
 * The volumes of a closure of which some paths have volumes of their own: store image first, then roots, then the rest
 * by hash.
 */
export function arrangeVolumes(
  closure: Closure,
  own: ReadonlySet<StorePath>,
  { store, path: imageOf }: ClosureImages,
): readonly PlannedVolume[] {
  const sizeOf = (path: StorePath): number => closure.byPath.get(path)?.narSize ?? 0;
  const roots = new Set(closure.roots);
  const ownPaths = [
    ...[...roots].filter((root) => own.has(root)),
    ...closure.paths.map((info) => info.storePath).filter((path) => own.has(path) && !roots.has(path)),
  ];
  const volumes = ownPaths.map((path) => ({
    name: `nix-${storeHash(path)}`,
    ...imageOf(path),
    mountPath: path,
    storePaths: [path],
    narSize: sizeOf(path),
  }));
  if (store === undefined) return volumes;
  const narSize = store.storePaths.reduce((sum, path) => sum + sizeOf(path), 0);
  return [{ ...store, mountPath: storeDirectory, narSize }, ...volumes];
}

/**
 * The volumes of a closure whose images our registry makes.
 *
 * @param roots none of which another one needs.
 * @param own directories.
 * @param types as encodeDecision takes them.
 * @param host host part of image references.
 */
export function makeVolumes(
  { source, closure }: { readonly source: string; readonly closure: Closure },
  roots: readonly StorePath[],
  own: ReadonlySet<StorePath>,
  types: ReadonlyMap<StorePath, PathType>,
  host: string,
): readonly PlannedVolume[] {
  const named = <Name extends PathImageName | StoreImageName>(image: Name) => {
    return { image, reference: imageReference(host, image) };
  };
  const version = conversionVersion;
  const path = (of: StorePath) => named({ kind: "path", source, hash: storeHash(of), version });
  const storePaths = closure.paths.map((info) => info.storePath).filter((one) => !own.has(one));
  if (storePaths.length === 0) return arrangeVolumes(closure, own, { path });
  const decision = encodeDecision(closure, own, types);
  if (decision === undefined) throw internal(`the plan of ${roots.join(", ")} does not fit into a tag`);
  const check = closureCheck(version, closure, decision);
  const image = { kind: "store", source, roots: roots.map(storeHash), version, decision, check } as const;
  const store = { name: `nix-store-${check}`, ...named(image), storePaths };
  return arrangeVolumes(closure, own, { store, path });
}
