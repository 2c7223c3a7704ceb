import { escapePathComponent, type Operation } from "fast-json-patch";
import { containerLists, type Container, type EnvVar, type Pod } from "./pod.ts";

/**
 * The JSON Patch (RFC 6902) that turns a Pod into its injected form. Lists are edited entry by entry: kept entries are
 * never part of an operation, new ones are appended; a missing list is added whole first.
 * @param before the Pod as it came.
 * @param after what injectPod made of it: entries that were kept are the same objects.
 */
export function podOperations(before: Pod, after: Pod): readonly Operation[] {
  if (before === after) return [];
  const operations: Operation[] = [];
  mapOperations("/metadata/annotations", before.metadata.annotations, after.metadata.annotations, operations);
  mapOperations("/spec/nodeSelector", before.spec.nodeSelector, after.spec.nodeSelector, operations);
  listOperations("/spec/volumes", before.spec.volumes, after.spec.volumes, operations);
  const secrets = [before.spec.imagePullSecrets, after.spec.imagePullSecrets] as const;
  listOperations("/spec/imagePullSecrets", ...secrets, operations);
  for (const list of containerLists) {
    for (const [i, container] of (after.spec[list] ?? []).entries()) {
      const original = before.spec[list]?.[i];
      if (original) operations.push(...containerOperations(`/spec/${list}/${i}`, original, container));
    }
  }
  return operations;
}

/** The operations that turn a container at `path` into another; see {@link podOperations}. */
export function containerOperations(path: string, before: Container, after: Container): readonly Operation[] {
  const operations: Operation[] = [];
  for (const field of ["image", "imagePullPolicy"] as const) {
    // "add" replaces a member that is there already.
    if (before[field] !== after[field])
      operations.push({ op: "add", path: `${path}/${field}`, value: after[field] });
  }
  envOperations(`${path}/env`, before.env, after.env, operations);
  listOperations(`${path}/volumeMounts`, before.volumeMounts, after.volumeMounts, operations);
  return operations;
}

/** Variables are the user's: none ever leaves, and of PATH only the value changes. */
function envOperations(
  path: string,
  before: readonly EnvVar[] | undefined,
  after: readonly EnvVar[] | undefined,
  operations: Operation[],
): void {
  if (before === after) return;
  for (const [i, variable] of (before ?? []).entries()) {
    const value = after?.[i]?.value;
    if (value !== variable.value) operations.push({ op: "add", path: `${path}/${i}/value`, value });
  }
  // What is left are new ones at the end.
  const added = before && after ? [...before, ...after.slice(before.length)] : after;
  listOperations(path, before, added, operations);
}

function mapOperations(
  path: string,
  before: Readonly<Record<string, string>> | undefined,
  after: Readonly<Record<string, string>> | undefined,
  operations: Operation[],
): void {
  if (before === after || !after) return;
  if (!before) {
    operations.push({ op: "add", path, value: after });
    return;
  }
  for (const [key, value] of Object.entries(after)) {
    if (before[key] !== value)
      operations.push({ op: "add", path: `${path}/${escapePathComponent(key)}`, value });
  }
}

interface Named {
  readonly name?: string;
}

function listOperations(
  path: string,
  before: readonly Named[] | undefined,
  after: readonly Named[] | undefined,
  operations: Operation[],
): void {
  if (before === after || !after) return;
  if (!before) {
    operations.push({ op: "add", path, value: after });
    return;
  }
  const originals = new Set(before);
  const removals: Operation[] = [];
  let at = 0;
  for (const [i, entry] of before.entries()) {
    const candidate = after[at];
    if (candidate === entry) at++;
    else if (candidate !== undefined && !originals.has(candidate) && candidate.name === entry.name) {
      operations.push({ op: "replace", path: `${path}/${i}`, value: candidate });
      at++;
    } else removals.unshift({ op: "remove", path: `${path}/${i}` });
  }
  operations.push(...removals);
  for (const entry of after.slice(at)) operations.push({ op: "add", path: `${path}/-`, value: entry });
}
