import { type NixClosureError, registryAbsent, throwTogether } from "../errors.ts";
import { allContainers, type Pod } from "../patch/pod.ts";
import { baseImagePlaceholder, type PodRequest } from "../patch/request.ts";
import type { AdmissionSettings } from "./admission.ts";

/**
 * Where nodes have no registry of ours: refuses a Pod that needs images which only that has.
 *
 * @throws one error for all of it: registryAbsent
 */
export function refuseAbsentImages(
  { sources, hasRegistry, baseImage }: Pick<AdmissionSettings, "sources" | "hasRegistry" | "baseImage">,
  pod: Pod,
  { closures }: PodRequest,
): void {
  const errors: NixClosureError[] = [];
  if (!hasRegistry) {
    const pushed = sources.flatMap(({ name, repository }) => (repository === undefined ? [] : name));
    const others = pushed.length === 0 ? "" : `, such as ${pushed.join(", ")}`;
    for (const source of new Set(closures.map((closure) => closure.source))) {
      if (pushed.includes(source)) continue;
      errors.push(
        registryAbsent(
          `images of the source ${source}, which has caches,`,
          `push the closure with "nix-closure push", and take it from a source that has a registry${others}`,
        ),
      );
    }
  }
  if (baseImage === undefined) {
    for (const { name, image } of allContainers(pod)) {
      if (image !== baseImagePlaceholder) continue;
      errors.push(
        registryAbsent(
          `the image ${baseImagePlaceholder} of the container ${name}`,
          'name another image, or have baseImage set to one that was put there with "nix-closure push-base"',
        ),
      );
    }
  }
  throwTogether(errors);
}
