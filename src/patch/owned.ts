import { parseImageName, type ImageName } from "../plan/image-name.ts";
import type { PlannedVolume } from "../plan/volumes.ts";
import { NixClosureError } from "../errors.ts";
import { allContainers, type Container, type Pod, type Volume } from "./pod.ts";

/** Where references of ours lie. */
export interface OurReferences {
  /** Host of our registry. */
  readonly host: string;
  /** What the placeholder of the base image is replaced by. */
  readonly baseImage: string;
  /** `<host>/<repository>` of each source of pushed closures. */
  readonly repositories: readonly string[];
}

/** A volume of the Pod that an earlier review, of this version or another, put there. */
export interface OwnedVolume {
  readonly name: string;
  readonly reference: string;
  /** What a reference on our registry says; undefined: it is none, or no image of ours has such a name. */
  readonly image: ImageName | PlannedVolume["image"] | undefined;
}

/** `nix-<hash>`, `nix-store-<check>` or `nix-profile-<check>`, and what tells two of one name apart (src/patch/volume-names.ts). */
const namePattern = /^nix-(?:[0-9a-z]{32}|(?:store|profile)-[0-9a-f]{16})(?:-[0-9a-f]{8})?$/;

/**
 * The Pod's volumes that are ours: their name has our pattern and their reference lies on our registry, or at or below
 * the repository of a source. Nothing else counts, so that a pull policy that was rewritten, or a status annotation that
 * was copied, changes nothing.
 */
export function findOwnedVolumes(pod: Pod, ours: OurReferences): readonly OwnedVolume[] {
  return (pod.spec.volumes ?? []).flatMap((volume) => {
    const reference = volume.image?.reference;
    if (reference === undefined || !isOwned(volume, ours)) return [];
    return [{ name: volume.name, reference, image: parseOurReference(reference, ours.host) }];
  });
}

/** Names of our pattern that containers mount although the Pod has no such volume: one of ours was lost. */
export function findLostNames(pod: Pod): ReadonlySet<string> {
  const present = new Set((pod.spec.volumes ?? []).map((volume) => volume.name));
  const mounted = allContainers(pod).flatMap((container) => container.volumeMounts ?? []);
  return new Set(
    mounted.map(({ name }) => name).filter((name) => namePattern.test(name) && !present.has(name)),
  );
}

/** Whether a volume is ours, see {@link findOwnedVolumes}. */
export function isOwned({ name, image }: Volume, { host, repositories }: OurReferences): boolean {
  const reference = image?.reference;
  if (!namePattern.test(name) || !reference) return false;
  return (
    reference.startsWith(`${host}/`) || repositories.some((repository) => isWithin(reference, repository))
  );
}

/** Whether a reference names a repository or one below it. */
function isWithin(reference: string, repository: string): boolean {
  return reference.startsWith(repository) && /^[:@/]/.test(reference.slice(repository.length));
}

/** Whether a container mounts one of these volumes. */
export function mountsAny(container: Container, volumeNames: ReadonlySet<string>): boolean {
  return (container.volumeMounts ?? []).some((mount) => volumeNames.has(mount.name));
}

/** The image of ours that a reference on our registry names; undefined if it names none. */
export function parseOurReference(reference: string, host: string): ImageName | undefined {
  // A policy of the cluster may have pinned what a tag named by adding its digest.
  const match = /^([^@]+):([^:/@]+)(?:@sha256:[0-9a-f]{64})?$/.exec(reference.slice(host.length + 1));
  const [, repository, tag] = match ?? [];
  if (!reference.startsWith(`${host}/`) || repository === undefined || tag === undefined) return undefined;
  try {
    return parseImageName(repository, tag);
  } catch (error) {
    if (error instanceof NixClosureError) return undefined;
    throw error;
  }
}
