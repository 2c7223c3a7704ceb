import { internal } from "../errors.ts";
import type { Closure, PathType } from "../nix/closure.ts";
import { storeDirectory, storeHash, type StorePath } from "../nix/store-path.ts";
import { closureCheck, encodeDecision } from "./decision.ts";
import { conversionVersion, imageReference, type ImageName } from "./image-name.ts";

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

/**
 * The volumes of a closure of which some paths have volumes of their own: store image first, then roots, then the rest
 * by hash.
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
  for (const path of ownPaths) {
    const hash = storeHash(path);
    const image: ImageName = { kind: "path", source, hash, version: conversionVersion };
    volumes.push({
      name: `nix-${hash}`,
      image,
      reference: imageReference(host, image),
      mountPath: path,
      storePaths: [path],
      narSize: closure.byPath.get(path)?.narSize ?? 0,
    });
  }
  return volumes;
}
