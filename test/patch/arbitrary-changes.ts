import fc from "fast-check";
import {
  allContainers,
  type Container,
  type Pod,
  type Volume,
  type VolumeMount,
} from "../../src/patch/pod.ts";
import { ourNames } from "./our-names.ts";

/** What can happen to an injected Pod before it comes back. Numbers are reduced to the length of what they choose from. */
export type Change =
  | { readonly kind: "lose volume" | "version" | "rename" | "double" | "unknown image"; readonly of: number }
  | { readonly kind: "lose volume and mounts"; readonly of: number }
  | { readonly kind: "lose mount"; readonly container: number; readonly of: number }
  | { readonly kind: "reorder"; readonly from: number; readonly to: number }
  | { readonly kind: "foreign volume"; readonly at: number }
  | { readonly kind: "foreign mount"; readonly container: number; readonly at: number }
  | {
      readonly kind:
        "pull policies" | "lose status" | "lose pull secrets" | "container first" | "container last";
    };

const index = fc.nat({ max: 40 });

export const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({
    kind: fc.constantFrom(
      "lose volume",
      "version",
      "rename",
      "double",
      "unknown image",
      "lose volume and mounts",
    ),
    of: index,
  }),
  fc.record({ kind: fc.constant("lose mount" as const), container: index, of: index }),
  fc.record({ kind: fc.constant("reorder" as const), from: index, to: index }),
  fc.record({ kind: fc.constant("foreign volume" as const), at: index }),
  fc.record({ kind: fc.constant("foreign mount" as const), container: index, at: index }),
  fc.record({
    kind: fc.constantFrom(
      "pull policies",
      "lose status",
      "lose pull secrets",
      "container first",
      "container last",
    ),
  }),
);

/** A Pod to which something has happened. `step` makes new names unique. */
export function applyChange(pod: Pod, change: Change, step: number): Pod {
  const volumes = pod.spec.volumes ?? [];
  const ours = ourNames(pod);
  const own = volumes.filter(({ name }) => ours.has(name));
  const pick = <T>(list: readonly T[], at: number): T | undefined => list[at % Math.max(1, list.length)];
  switch (change.kind) {
    case "lose volume":
      return withVolumes(pod, without(volumes, pick(own, change.of)));
    case "lose volume and mounts": {
      const lost = pick(own, change.of);
      const left = withVolumes(pod, without(volumes, lost));
      return mapMounts(left, (mounts) => mounts.filter(({ name }) => name !== lost?.name));
    }
    case "version":
      // Of a pushed image there is none, and another digest is another image.
      return changeReference(pod, pick(own, change.of), (reference) =>
        reference.replace(/:1$/, ":2").replace(/@sha256:.{64}$/, `@sha256:${"0".repeat(64)}`),
      );
    case "unknown image":
      return changeReference(pod, pick(own, change.of), (reference) =>
        reference.startsWith("localhost:5417/")
          ? `localhost:5417/what/is/this:${step}`
          : `registry.example.com/nix/what/is/this:${step}`,
      );
    case "rename": {
      const before = pick(own, change.of);
      if (before === undefined) return pod;
      const name = `${before.name.slice(0, 36)}-0000000${step}`;
      if (!/^nix-[0-9a-z]{32}-/.test(name)) return pod;
      const renamed = withVolumes(
        pod,
        volumes.map((volume) => (volume === before ? { ...volume, name } : volume)),
      );
      return mapMounts(renamed, (mounts) =>
        mounts.map((one) => (one.name === before.name ? { ...one, name } : one)),
      );
    }
    case "double": {
      const one = pick(own, change.of);
      if (one === undefined || !/^nix-[0-9a-z]{32}$/.test(one.name)) return pod;
      return withVolumes(pod, [{ ...one, name: `${one.name}-1111111${step}` }, ...volumes]);
    }
    case "lose mount":
      return mapContainer(pod, change.container, (container) => {
        const { volumeMounts } = container;
        const mine = (volumeMounts ?? []).filter(({ name }) => ours.has(name));
        return volumeMounts
          ? { ...container, volumeMounts: without(volumeMounts, pick(mine, change.of)) }
          : container;
      });
    case "reorder": {
      const moved = pick(volumes, change.from);
      return moved ? withVolumes(pod, inserted(without(volumes, moved), change.to, moved)) : pod;
    }
    case "foreign volume":
      return withVolumes(pod, inserted(volumes, change.at, { name: `foreign-${step}`, emptyDir: {} }));
    case "foreign mount": {
      const name = `foreign-${step}`;
      const more = withVolumes(pod, inserted(volumes, change.at, { name, emptyDir: {} }));
      return mapContainer(more, change.container, (container) => ({
        ...container,
        volumeMounts: inserted(container.volumeMounts ?? [], change.at, { name, mountPath: `/mnt/${step}` }),
      }));
    }
    case "pull policies":
      return withVolumes(
        pod,
        volumes.map((volume) =>
          ours.has(volume.name) ? { ...volume, image: { ...volume.image, pullPolicy: "Always" } } : volume,
        ),
      );
    case "lose status": {
      const { "nix.closure/status": _status, ...annotations } = pod.metadata.annotations ?? {};
      return { ...pod, metadata: { ...pod.metadata, annotations } };
    }
    case "lose pull secrets": {
      const { imagePullSecrets: _, ...spec } = pod.spec;
      return { ...pod, spec };
    }
    case "container first":
      return withContainers(pod, [
        { name: `later${step}`, image: "nix.closure/base" },
        ...pod.spec.containers,
      ]);
    case "container last":
      return withContainers(pod, [...pod.spec.containers, { name: `later${step}`, image: "debian:12" }]);
  }
}

function without<T>(list: readonly T[], one: T | undefined): readonly T[] {
  return list.filter((other) => other !== one);
}

function inserted<T>(list: readonly T[], at: number, one: T): readonly T[] {
  return list.toSpliced(at % (list.length + 1), 0, one);
}

function withVolumes(pod: Pod, volumes: readonly Volume[]): Pod {
  return { ...pod, spec: { ...pod.spec, volumes } };
}

function withContainers(pod: Pod, containers: readonly Container[]): Pod {
  return { ...pod, spec: { ...pod.spec, containers } };
}

function changeReference(pod: Pod, one: Volume | undefined, change: (reference: string) => string): Pod {
  const volumes = (pod.spec.volumes ?? []).map((volume) =>
    volume === one
      ? { ...volume, image: { ...volume.image, reference: change(volume.image?.reference ?? "") } }
      : volume,
  );
  return withVolumes(pod, volumes);
}

function mapContainer(pod: Pod, at: number, map: (container: Container) => Container): Pod {
  const all = allContainers(pod);
  const chosen = all[at % all.length]!.name;
  const edit = (container: Container): Container => (container.name === chosen ? map(container) : container);
  const { containers, initContainers } = pod.spec;
  return {
    ...pod,
    spec: {
      ...pod.spec,
      containers: containers.map(edit),
      ...(initContainers ? { initContainers: initContainers.map(edit) } : {}),
    },
  };
}

function mapMounts(pod: Pod, map: (mounts: readonly VolumeMount[]) => readonly VolumeMount[]): Pod {
  return allContainers(pod).reduce(
    (at, _container, i) =>
      mapContainer(at, i, (container) =>
        container.volumeMounts ? { ...container, volumeMounts: map(container.volumeMounts) } : container,
      ),
    pod,
  );
}
