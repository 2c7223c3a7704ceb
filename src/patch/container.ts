import { posix } from "node:path";
import { mountConflict, type NixClosureError } from "../errors.ts";
import { storeDirectory } from "../nix/store-path.ts";
import { annotationKeys } from "./annotations.ts";
import type { Container, EnvVar, VolumeMount } from "./pod.ts";
import { baseImagePlaceholder } from "./request.ts";

/** PATH of a container whose image has none: what runtimes fall back to (runc, containerd). */
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The mounts that a container is to have. */
export interface ContainerMounts {
  readonly mounts: readonly { readonly name: string; readonly mountPath: string }[];
  /** The mount path of the volume that is the profile, and what the profile is in words. */
  readonly profileRoot: { readonly mountPath: string; readonly words: string };
  readonly profile: string | undefined;
  readonly path: boolean | undefined;
}

/** What the edit of one container needs to know of its Pod. */
export interface ContainerContext {
  /** undefined: no closure for this container. */
  readonly wanted: ContainerMounts | undefined;
  /** Names of volumes of ours that leave the Pod, or were lost and do not come back. */
  readonly removed: ReadonlySet<string>;
  /** Names of all volumes of ours that the Pod came with, or lost. */
  readonly ownedNames: ReadonlySet<string>;
  readonly baseImage: string;
  readonly isBase: (image: string) => boolean;
  readonly errors: NixClosureError[];
  readonly warnings: string[];
}

/** Edits one container; the same object comes back if there is nothing to do. */
export function injectContainer(container: Container, context: ContainerContext): Container {
  const { wanted, baseImage } = context;
  const placeholder = container.image === baseImagePlaceholder;
  const onBase = placeholder || context.isBase(container.image ?? "");
  const profile = wanted && findProfile(container.name, wanted, context.warnings);
  // A name's profile is mounted nowhere else.
  const others = (wanted?.mounts ?? []).filter(({ mountPath }) => mountPath !== profile?.mountPath);
  const mounts = [...others, ...(profile ? [profile] : [])];
  const volumeMounts = mergeMounts(container, mounts, context);
  const env = profile && mergePath(container, profile.mountPath, wanted.path, onBase, context.warnings);
  if (!placeholder && volumeMounts === undefined && env === undefined) return container;
  return {
    ...container,
    ...(placeholder ? baseImageFields(baseImage) : {}),
    ...(volumeMounts === undefined ? {} : { volumeMounts }),
    ...(env === undefined ? {} : { env }),
  };
}

/** Kubernetes defaults an image without a tag to Always, which would ask the registry at each start. */
export function baseImageFields(image: string): Pick<Container, "image" | "imagePullPolicy"> {
  return { image, imagePullPolicy: "IfNotPresent" };
}

/** What a volume of ours is in a container's volumeMounts. */
export function mountEntry(name: string, mountPath: string): VolumeMount {
  return { name, mountPath, readOnly: true };
}

/** The profile's mount: the first root's volume a second time. A file or symlink has no volume of its own. */
function findProfile(
  container: string,
  { mounts, profileRoot, profile }: ContainerMounts,
  warnings: string[],
): { readonly name: string; readonly mountPath: string } | undefined {
  if (profile === undefined) return undefined;
  const root = mounts.find((mount) => mount.mountPath === profileRoot.mountPath);
  if (root === undefined) {
    warnings.push(
      `container "${container}" has no ${profile}: ${profileRoot.words} is not a directory; run it by its store path`,
    );
    return undefined;
  }
  return { name: root.name, mountPath: profile };
}

/** The container's mounts with ours; undefined if they are as they should be. */
function mergeMounts(
  container: Container,
  wanted: readonly { readonly name: string; readonly mountPath: string }[],
  { removed, ownedNames, errors }: ContainerContext,
): readonly VolumeMount[] | undefined {
  const existing = container.volumeMounts ?? [];
  const wantedNames = new Map(wanted.map((mount) => [mount.mountPath, mount.name]));
  const kept = existing.filter((mount) => {
    if (removed.has(mount.name)) return false;
    if (!ownedNames.has(mount.name) || wanted.length === 0) return true;
    // Of a closure that this container had before and another one still has.
    const path = cleanPath(mount.mountPath);
    const name = wantedNames.get(path);
    return name === undefined ? !isInStore(path) : name === mount.name;
  });
  const present = new Map(kept.map((mount) => [cleanPath(mount.mountPath), mount.name]));
  const added: VolumeMount[] = [];
  for (const { name, mountPath } of wanted) {
    const holder = present.get(mountPath);
    if (holder === undefined) added.push(mountEntry(name, mountPath));
    else if (holder !== name) {
      const fix = mountPath.startsWith(storeDirectory)
        ? "mount it elsewhere"
        : `mount it elsewhere, or set the annotation ${annotationKeys.profile}`;
      errors.push(mountConflict(container.name, mountPath, holder, fix));
    }
  }
  reportHiddenMounts(container.name, kept, wantedNames, errors);
  return added.length === 0 && kept.length === existing.length ? undefined : [...kept, ...added];
}

/** A store image is read-only, so the runtime cannot make a mount point for a foreign volume beside its paths. */
function reportHiddenMounts(
  container: string,
  kept: readonly VolumeMount[],
  wanted: ReadonlyMap<string, string>,
  errors: NixClosureError[],
): void {
  if (!wanted.has(storeDirectory)) return;
  const ours = new Set(wanted.values());
  for (const { name, mountPath } of kept) {
    const path = cleanPath(mountPath);
    const beside = isInStore(path) && path.split("/").length === storeDirectory.split("/").length + 1;
    if (beside && !ours.has(name) && !wanted.has(path)) {
      errors.push(
        mountConflict(
          container,
          mountPath,
          name,
          `the image at ${storeDirectory} is read-only; mount it elsewhere`,
        ),
      );
    }
  }
}

/** The container's env with the profile's bin first in PATH; undefined if there is nothing to do. */
export function mergePath(
  container: Container,
  profile: string,
  asked: boolean | undefined,
  onBase: boolean,
  warnings: string[],
): readonly EnvVar[] | undefined {
  if (!(asked ?? onBase)) return undefined;
  const env = container.env ?? [];
  const bin = `${profile}/bin`;
  // Of several entries with one name the last one counts.
  const at = env.findLastIndex((variable) => variable.name === "PATH");
  const current = env[at];
  if (current === undefined) {
    if (onBase) return [...env, { name: "PATH", value: `${bin}:${defaultPath}` }];
    warnings.push(
      `container "${container.name}" keeps its image's PATH, which cannot be seen here; set PATH in its env to have ${bin} put before it`,
    );
    return undefined;
  }
  // The API server leaves out an empty value.
  const value = current["valueFrom"] ? undefined : (current.value ?? "");
  if (value === undefined) {
    warnings.push(
      `container "${container.name}" takes PATH from elsewhere (valueFrom); ${bin} was not put before it`,
    );
    return undefined;
  }
  if (value.split(":")[0] === bin) return undefined;
  return env.with(at, { ...current, value: value === "" ? bin : `${bin}:${value}` });
}

function isInStore(path: string): boolean {
  return path === storeDirectory || path.startsWith(`${storeDirectory}/`);
}

/** A mount path as the kubelet and the runtime take it: absolute, without "." and "..", repeated and last slashes. */
function cleanPath(path: string): string {
  const clean = posix.normalize(`/${path}`);
  return clean.length > 1 && clean.endsWith("/") ? clean.slice(0, -1) : clean;
}
