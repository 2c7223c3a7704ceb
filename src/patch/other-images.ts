import { isOwned, type OurReferences } from "./owned.ts";
import { containerLists, type Pod } from "./pod.ts";
import { baseImagePlaceholder } from "./request.ts";

/**
 * Counts the distinct images of a Pod that are not of its closures, as they are once it is injected: those of its
 * containers of every kind, and of image volumes of its own.
 */
export function countOtherImages({ spec }: Pod, ours: OurReferences): number {
  const references = new Set<string>();
  for (const list of containerLists) {
    for (const { image } of spec[list] ?? []) {
      if (image === baseImagePlaceholder) references.add(ours.baseImage);
      else if (image) references.add(image);
    }
  }
  for (const volume of spec.volumes ?? []) {
    const reference = volume.image?.reference;
    if (reference && !isOwned(volume, ours)) references.add(reference);
  }
  return references.size;
}
