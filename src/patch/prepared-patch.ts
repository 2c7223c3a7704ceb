import type { Operation } from "fast-json-patch";
import { LRUCache } from "lru-cache";
import type { ClosureName } from "../closure-index/closure-name.ts";
import type { StorePath } from "../nix/store-path.ts";
import { annotationKeys, isOurs } from "./annotations.ts";
import { maxObjectBytes } from "./inject.ts";
import { countOtherImages } from "./other-images.ts";
import type { OurReferences } from "./owned.ts";
import { containerLists, type Container, type Pod } from "./pod.ts";
import { baseImagePlaceholder } from "./request.ts";
import { architectureLabel } from "./system.ts";

/** A Pod's patch as it is sent. */
export interface EncodedPatch {
  /** Base64 of the JSON Patch; undefined: there is nothing to do. */
  readonly encoded: Buffer | undefined;
  /** As those of an Injection. */
  readonly warnings: readonly string[];
  readonly volumes: number;
}

/**
 * Everything that the patch of a Pod depends on, but for its closures, in a fixed order: Pods of one shape have one
 * patch.
 */
export interface Shape {
  /** The first annotation of ours. */
  readonly key: string;
  readonly parts: readonly ShapePart[];
}

type ShapePart = string | number | boolean | undefined;

/** A patch that was made once. */
export interface PreparedPatch extends EncodedPatch {
  readonly encoded: Buffer;
  readonly shape: Shape;
  /** The closures that it was made of. */
  readonly closures: readonly PreparedFrom[];
}

/** A closure that a patch was made of, and which one it was of those that have been there. */
export type PreparedFrom = { readonly source: string; readonly version: number } & (
  { readonly roots: readonly StorePath[] } | { readonly name: ClosureName }
);

/** Bytes of base64 that are kept. */
const maxKept = 16 * 1024 * 1024;
/** Patches that are kept of Pods whose first annotation of ours is the same. */
const maxShapes = 8;
/** What a shape takes, about, with what holds it. */
const shapeBytes = 1024;

/**
 * Patches by the shape of their Pods. A Deployment's Pods differ in names, in what they are labelled and in much that no
 * patch depends on: for all of them the pure patch (injectPod, podOperations) is made, serialised and encoded once.
 */
export class PreparedPatches {
  readonly #patches = new LRUCache<string, readonly PreparedPatch[]>({ maxSize: maxKept });

  /**
   * The patch of a Pod like one before.
   *
   * @param podBytes an upper bound of the Pod's bytes as JSON.
   * @returns undefined also for one that the patch could bring near the limit of an object.
   */
  find(shape: Shape, podBytes: number): PreparedPatch | undefined {
    for (const patch of this.#patches.get(shape.key) ?? []) {
      if (!isSame(shape, patch.shape)) continue;
      // Four characters of base64 hold three bytes of what the Pod grows by.
      return podBytes + patch.encoded.length <= maxObjectBytes ? patch : undefined;
    }
    return undefined;
  }

  remember(patch: PreparedPatch): void {
    const { key } = patch.shape;
    const others = (this.#patches.get(key) ?? []).filter(({ shape }) => !isSame(shape, patch.shape));
    const patches = [patch, ...others.slice(0, maxShapes - 1)];
    const size = patches.reduce((sum, { encoded }) => sum + encoded.length + shapeBytes, 0);
    this.#patches.set(key, patches, { size });
  }
}

function isSame({ parts: one }: Shape, { parts: other }: Shape): boolean {
  if (one.length !== other.length) return false;
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return false;
  return true;
}

/**
 * Finds the shape of a Pod.
 *
 * @param pullSecrets names of all Secrets that a source may have Pods pull with.
 * @returns undefined for a Pod that asks for nothing, or is not as most are: something in it is ours, or may be.
 */
export function shapeOf(pod: Pod, ours: OurReferences, pullSecrets: readonly string[]): Shape | undefined {
  const { metadata, spec } = pod;
  const { annotations } = metadata;
  const parts: ShapePart[] = [];
  for (const key in annotations) {
    if (!isOurs(key)) continue;
    if (key === annotationKeys.status || key === annotationKeys.system) return undefined;
    parts.push(annotations[key], key);
  }
  const [first] = parts;
  if (typeof first !== "string" || (spec.os?.name ?? "linux") !== "linux") return undefined;
  if ((spec.nodeSelector?.["kubernetes.io/os"] ?? "linux") !== "linux") return undefined;
  for (const { name } of spec.volumes ?? []) if (mayBeOurs(name)) return undefined;
  // A name of one system selects the nodes.
  parts.push(!spec.nodeSelector, spec.nodeSelector?.[architectureLabel]);
  // Of the images themselves a plan depends on nothing but how many there are.
  parts.push(!spec.volumes, countOtherImages(pod, ours));
  addPullSecretsOf(pod, pullSecrets, parts);
  for (const list of containerLists) {
    const containers = spec[list] ?? [];
    parts.push(containers.length);
    for (const container of containers) if (!addContainer(container, ours, parts)) return undefined;
  }
  return { key: first, parts };
}

/** Which of the secrets a patch adds, and how, depends on those that are there. */
function addPullSecretsOf({ spec }: Pod, pullSecrets: readonly string[], parts: ShapePart[]): void {
  if (pullSecrets.length === 0) return;
  parts.push(!spec.imagePullSecrets);
  const present = new Set((spec.imagePullSecrets ?? []).map(({ name }) => name));
  for (const secret of pullSecrets) parts.push(present.has(secret));
}

/** @returns false for one that is not as most are. */
function addContainer(
  { name, image, imagePullPolicy, env, volumeMounts }: Container,
  { host, baseImage }: OurReferences,
  parts: ShapePart[],
): boolean {
  const onBase = image === baseImagePlaceholder;
  if (image === baseImage) return false;
  if (!onBase && image && (image.startsWith("nix.closure") || image.startsWith(`${host}/`))) return false;
  parts.push(name, onBase, onBase && imagePullPolicy === "IfNotPresent", !env);
  // Of several entries with one name the last one counts.
  const at = env?.findLastIndex((variable) => variable.name === "PATH") ?? -1;
  const path = env?.[at];
  parts.push(at, !path?.["valueFrom"], path?.value ?? "", !volumeMounts, volumeMounts?.length);
  for (const mount of volumeMounts ?? []) {
    if (mayBeOurs(mount.name)) return false;
    parts.push(mount.mountPath);
  }
  return true;
}

/** Whether a volume of that name can be one of ours, or stand in the way of one. */
function mayBeOurs(volume: string): boolean {
  return volume.startsWith("nix-");
}

/** Base64 of a JSON Patch; undefined if there is nothing to do. */
export function encodePatch(operations: readonly Operation[]): Buffer | undefined {
  if (operations.length === 0) return undefined;
  return Buffer.from(Buffer.from(JSON.stringify(operations)).toString("base64"), "latin1");
}
