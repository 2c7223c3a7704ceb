import { storeDirectory } from "../nix/store-path.ts";
import type { Plan, PlannedVolume } from "./plan.ts";

/**
 * What a node has of an image: the image, so that nothing is pulled; its content under another name, so that the pull
 * brings no layer; or nothing.
 */
export type Presence = "image" | "content" | "nothing";

/** What a node that runs other plans has of each volume of a plan, in the plan's order. */
export function presentImages(plan: Plan, others: readonly Plan[]): readonly Presence[] {
  const volumes = others.flatMap((other) => other.volumes.map((volume) => ({ volume, plan: other })));
  const references = new Set(volumes.map(({ volume }) => volume.reference));
  const contents = new Set(volumes.map((other) => contentOf(other.volume, other.plan)));
  return plan.volumes.map((volume) => {
    if (references.has(volume.reference)) return "image";
    return contents.has(contentOf(volume, plan)) ? "content" : "nothing";
  });
}

/**
 * Two images have the same layer of content if this is equal. A path image is not packed as a store image is, and what
 * was pushed is compressed, in one repository alike.
 */
function contentOf({ image, mountPath, storePaths }: PlannedVolume, { closure }: Plan): string {
  const packing = mountPath === storeDirectory ? "store" : "path";
  const repository = image.kind === "pushed" ? ` ${image.repository}` : "";
  const paths = storePaths.map((path) => `${path} ${closure.byPath.get(path)?.narHash}`);
  return `${packing}${repository}\n${paths.toSorted().join("\n")}`;
}
