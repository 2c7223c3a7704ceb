import type { Pod } from "../src/patch/pod.ts";

/** An image and where a container has it. */
export interface ImageMount {
  readonly reference: string;
  readonly mountPath: string;
}

/** The file system of a Pod's only container, as its images make it up. */
export interface ContainerImages {
  /** The container's own image. */
  readonly base: string;
  /** Its image volumes, outer mounts before those inside them. Each image once: a second mount is a link. */
  readonly mounts: readonly ImageMount[];
  /** Further mounts of images that are in `mounts`: where, and the first mount's path. */
  readonly links: readonly { readonly mountPath: string; readonly target: string }[];
  /** The container's own environment. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Reads the images of a Pod's first container out of an admitted Pod.
 * @throws Error if the Pod has none
 */
export function containerImages(pod: Pod): ContainerImages {
  const [container] = pod.spec.containers;
  if (container?.image === undefined) throw new Error("the admitted Pod has no container with an image");
  const references = new Map(
    (pod.spec.volumes ?? []).flatMap(({ name, image }) =>
      image?.reference ? [[name, image.reference] as const] : [],
    ),
  );
  const all = (container.volumeMounts ?? []).flatMap(({ name, mountPath }) => {
    const reference = references.get(name);
    return reference === undefined ? [] : [{ reference, mountPath }];
  });
  const first = new Map<string, string>();
  for (const { reference, mountPath } of all) {
    if (!first.has(reference)) first.set(reference, mountPath);
  }
  return {
    base: container.image,
    mounts: [...first]
      .map(([reference, mountPath]) => ({ reference, mountPath }))
      .toSorted((a, b) => (a.mountPath < b.mountPath ? -1 : 1)),
    links: all.flatMap(({ reference, mountPath }) => {
      const target = first.get(reference) ?? mountPath;
      return target === mountPath ? [] : [{ mountPath, target }];
    }),
    env: Object.fromEntries((container.env ?? []).map(({ name, value = "" }) => [name, value])),
  };
}
