import type { Closure } from "../nix/closure.ts";
import { storeHash, type StorePath } from "../nix/store-path.ts";
import { closureCheck } from "../plan/decision.ts";
import { conversionVersion, type PathImageName, type StoreImageName } from "../plan/image-name.ts";
import type { Resolver } from "../resolver/resolver.ts";
import { pathsWithVolumes } from "./layer-plan.ts";

/** A path image of a plan. */
export interface PlanImage {
  readonly name: PathImageName;
  /** NarSize of the path. */
  readonly bytes: number;
}

/** The path images of a plan, in the order in which a kubelet asks for them: roots, then the rest by hash. */
export interface PlanImages {
  readonly images: readonly PlanImage[];
  /** All of them are asked for; else they are the most that can be. */
  readonly isCertain: boolean;
}

/**
 * The path images of the plan that a store image belongs to: its decision names them.
 *
 * @returns none for a tag that does not fit the closure, which is refused.
 * @throws imageNameInvalid, and the resolver's errors
 */
export async function imagesBesideStoreImage(
  resolver: Resolver,
  name: StoreImageName,
  signal: AbortSignal,
): Promise<PlanImages> {
  const { source, roots, version, decision, check } = name;
  const closure = await resolver.resolveHashes(source, roots, signal);
  if (closureCheck(version, closure, decision) !== check) return { images: [], isCertain: true };
  const own = await pathsWithVolumes(resolver, name, closure, signal);
  return { images: imagesOf(source, closure, own), isCertain: true };
}

/**
 * The images of the plan of a root that has no store image. If the closure has a file or a symbolic link there is one,
 * and what it leaves to path images is not known.
 *
 * @throws the resolver's errors
 */
export async function imagesOfRoot(
  resolver: Resolver,
  { source, hash }: PathImageName,
  signal: AbortSignal,
): Promise<PlanImages> {
  const closure = await resolver.resolveHashes(source, [hash], signal);
  const all = closure.paths.map(({ storePath }) => storePath);
  const images = imagesOf(source, closure, new Set(all));
  if (images.length === 1) return { images, isCertain: true };
  const types = await resolver.pathTypes(source, all, signal);
  return { images, isCertain: all.every((path) => types.get(path) === "directory") };
}

function imagesOf(source: string, closure: Closure, own: ReadonlySet<StorePath>): readonly PlanImage[] {
  const roots = new Set(closure.roots);
  const paths = closure.paths.filter(({ storePath }) => own.has(storePath));
  const isRoot = ({ storePath }: { readonly storePath: StorePath }): boolean => roots.has(storePath);
  return [...paths.filter(isRoot), ...paths.filter((path) => !isRoot(path))].map(
    ({ storePath, narSize }) => ({
      name: { kind: "path", source, hash: storeHash(storePath), version: conversionVersion },
      bytes: narSize,
    }),
  );
}
