import {
  type NixClosureError,
  objectTooLarge,
  formatBytes,
  podInvalid,
  throwTogether,
  tooManyVolumes,
  internal,
} from "../errors.ts";
import type { StorePath } from "../nix/store-path.ts";
import { typesNeeded, type PlanRules, type WantedClosure } from "../plan/plan.ts";
import { annotationKeys } from "./annotations.ts";
import { injectContainer, type ContainerMounts } from "./container.ts";
import {
  findLostNames,
  findOwnedVolumes,
  isOwned,
  mountsAny,
  parseOurReference,
  type OurReferences,
} from "./owned.ts";
import { containerLists, type Container, type Pod, type Volume } from "./pod.ts";
import { addPullSecrets } from "./pull-secrets.ts";
import type { ContainerRequest, PodRequest } from "./request.ts";
import { formatStatus } from "./status.ts";
import { selectSystem, systemsOf } from "./system.ts";
import { chooseSets, type ResolvedClosure } from "./volume-set.ts";
import { nameVolumes } from "./volume-names.ts";

/** For every strategy: what the API server, the kubelet and etcd can still carry well (design, section 7). */
export const maxVolumesPerPod = 200;
export const maxObjectBytes = 1024 * 1024;

/** An injected Pod. */
export interface Injection {
  /** The same object as came in if there was nothing to do. */
  readonly pod: Pod;
  /** For the person who creates the Pod; at most a line each. */
  readonly warnings: readonly string[];
  /** Image volumes of ours that the Pod has now. */
  readonly volumes: number;
}

/** Whether a Pod came with volumes of ours. */
export function isInjected(pod: Pod, ours: OurReferences): boolean {
  return (pod.spec.volumes ?? []).some((volume) => isOwned(volume, ours));
}

/**
 * The paths of each closure whose types injecting needs: those that today's plan needs, and all of them where the Pod
 * came with volumes of ours, to judge whether they are a whole set. Of a pushed closure it needs none.
 *
 * @throws planNotPushed
 */
export function neededTypes(
  closures: readonly WantedClosure[],
  rules: Pick<PlanRules, "strategy" | "maxImages">,
  injected: boolean,
): readonly (readonly StorePath[])[] {
  if (!injected) return typesNeeded(closures, rules);
  return closures.map(({ closure, pushed }) =>
    pushed === undefined ? closure.paths.map((info) => info.storePath) : [],
  );
}

/**
 * Puts closures into a Pod: volumes, mounts, profile, PATH, base image, node selector, pull secrets and status. Only
 * entries of ours are ever removed or replaced; everything else of the Pod stays the very same object, in its place.
 *
 * @param closures by the key of the request's closures.
 * @throws one error for all conflicts with the Pod's own volumes and mounts; tooManyVolumes; objectTooLarge.
 */
export function injectPod(
  pod: Pod,
  request: PodRequest,
  closures: ReadonlyMap<string, ResolvedClosure>,
  ours: OurReferences,
): Injection {
  const owned = findOwnedVolumes(pod, ours);
  const lost = findLostNames(pod);
  const ownedNames = new Set([...owned.map((volume) => volume.name), ...lost]);
  const targets = findTargets(pod, request, ownedNames);
  const errors: NixClosureError[] = [];

  const used = new Set([...targets.values()].map((target) => target.closureKey));
  const resolved = request.closures.flatMap(({ key }) => {
    if (!used.has(key)) return [];
    const closure = closures.get(key);
    if (closure === undefined) throw internal(`the closure ${key} was not resolved`);
    return [[key, closure] as const];
  });
  const { sets, volumes: wanted } = chooseSets(owned, new Map(resolved));
  const keptVolumes = new Set(wanted.map((volume) => volume.reference));
  // Where no container is a target, every set of ours belongs to containers that are no business of this review.
  const removed = new Set(
    targets.size === 0
      ? []
      : owned.filter((volume) => !keptVolumes.has(volume.reference)).map((volume) => volume.name),
  );
  const names = nameVolumes(pod, owned, removed, wanted, errors);
  const restored = new Set(names.values());
  const removedMounts = removed.union(lost.difference(restored));

  const warnings = [...request.warnings];
  const existing = pod.spec.volumes ?? [];
  const volumes = existing.filter((volume) => !removed.has(volume.name));
  const present = new Set(volumes.map((volume) => volume.name));
  for (const [reference, name] of names) {
    if (!present.has(name)) volumes.push(volumeEntry(name, reference));
  }

  const { profile, system } = request.annotations;
  const edit = (container: Container): Container => {
    const target = targets.get(container.name);
    const set = target && sets.get(target.closureKey);
    const mounts: ContainerMounts | undefined = target &&
      set && {
        mounts: set.map(({ reference, mountPath }) => ({ name: names.get(reference) ?? "", mountPath })),
        profileRoot: profileRootOf(target, profile),
        profile,
        path: request.annotations.path,
      };
    return injectContainer(container, {
      wanted: mounts,
      removed: removedMounts,
      ownedNames,
      baseImage: ours.baseImage,
      isBase: (image) => image === ours.baseImage || parseOurReference(image, ours.host)?.kind === "base",
      errors,
      warnings,
    });
  };
  const lists = containerLists.flatMap((list) => {
    const before = pod.spec[list];
    if (!before) return [];
    const after = before.map(edit);
    return after.some((container, i) => container !== before[i]) ? [[list, after] as const] : [];
  });
  const closuresOf = resolved.map(([, closure]) => systemsOf(closure));
  const selector = selectSystem(pod, system, closuresOf, errors);
  throwTogether(errors);

  const wantedSecrets = resolved.flatMap(([, { pullSecret }]) => pullSecret ?? []);
  const imagePullSecrets = addPullSecrets(pod, wantedSecrets);
  const volumesChanged = removed.size > 0 || volumes.length > existing.length;
  const count = volumes.filter((volume) => isOwned(volume, ours)).length;
  if (!volumesChanged && lists.length === 0 && selector === undefined && imagePullSecrets === undefined)
    return { pod, warnings, volumes: count };
  if (count > maxVolumesPerPod) throw tooManyVolumes(count, maxVolumesPerPod);

  const injected: Pod = {
    ...pod,
    metadata: {
      ...pod.metadata,
      annotations: {
        ...pod.metadata.annotations,
        [annotationKeys.status]: formatStatus(
          resolved.map(([, closure]) => closure),
          count,
        ),
      },
    },
    spec: {
      ...pod.spec,
      ...Object.fromEntries(lists),
      ...(volumesChanged ? { volumes } : {}),
      ...(imagePullSecrets === undefined ? {} : { imagePullSecrets }),
      ...(selector === undefined ? {} : { nodeSelector: selector }),
    },
  };
  const bytes = jsonBytes(injected);
  if (bytes > maxObjectBytes) throw objectTooLarge(formatBytes(bytes), formatBytes(maxObjectBytes));
  return { pod: injected, warnings, volumes: count };
}

/** The volume that a container's profile is, by where it is mounted beside: that of a name has no other place. */
function profileRootOf(
  { firstRoot }: ContainerRequest,
  profile: string | undefined,
): ContainerMounts["profileRoot"] {
  if (firstRoot !== undefined) return { mountPath: firstRoot, words: firstRoot };
  return { mountPath: profile ?? "", words: "the root of its name" };
}

/** What an image of ours is in spec.volumes. */
export function volumeEntry(name: string, reference: string): Volume {
  return { name, image: { reference, pullPolicy: "IfNotPresent" } };
}

/** Bytes of a Pod as JSON. @throws podInvalid for one that JSON.stringify has no stack for: some thousand levels. */
function jsonBytes(pod: Pod): number {
  try {
    return Buffer.byteLength(JSON.stringify(pod));
  } catch (error) {
    if (error instanceof RangeError) throw podInvalid("it is nested too deeply").causedBy(error);
    throw error;
  }
}

/**
 * The containers that this review serves, by name. A container without any mount of ours in a Pod that has some came
 * later, by another webhook's hand, and is left alone unless an annotation names it.
 */
function findTargets(
  pod: Pod,
  request: PodRequest,
  ownedNames: ReadonlySet<string>,
): ReadonlyMap<string, ContainerRequest> {
  const containers = containerLists.flatMap((list) => pod.spec[list] ?? []);
  const served = new Set(
    containers.filter((container) => mountsAny(container, ownedNames)).map(({ name }) => name),
  );
  const targets = request.containers.filter(
    ({ name, named }) => served.size === 0 || named || served.has(name),
  );
  return new Map(targets.map((target) => [target.name, target]));
}
