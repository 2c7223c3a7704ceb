/** A Pod, or a workload's Pod template, inside a manifest. */
export interface PodTemplate {
  /** Where it is in the manifest: member names and list positions. */
  readonly path: readonly (string | number)[];
  /** The Pod or template itself, not looked at yet. */
  readonly value: unknown;
  /** Of the object that holds it. */
  readonly namespace: string | undefined;
  /** For messages, for instance `Deployment "web"`. */
  readonly owner: string;
  /** The owner's own annotations where they are not the Pod's. */
  readonly ownerAnnotations: Readonly<Record<string, unknown>>;
}

/** Where each kind keeps its Pod template (apps/v1, batch/v1, core/v1). */
const templatePaths: ReadonlyMap<string, readonly string[]> = new Map([
  ["Pod", []],
  ["PodTemplate", ["template"]],
  ["ReplicationController", ["spec", "template"]],
  ["Deployment", ["spec", "template"]],
  ["ReplicaSet", ["spec", "template"]],
  ["StatefulSet", ["spec", "template"]],
  ["DaemonSet", ["spec", "template"]],
  ["Job", ["spec", "template"]],
  ["CronJob", ["spec", "jobTemplate", "spec", "template"]],
]);

/** The Pods and Pod templates of a manifest; of a List, those of its items. Other kinds have none. */
export function findPodTemplates(manifest: unknown): readonly PodTemplate[] {
  const found: PodTemplate[] = [];
  const queue: { value: unknown; path: readonly (string | number)[] }[] = [{ value: manifest, path: [] }];
  for (const { value, path } of queue) {
    if (!isObject(value) || typeof value["kind"] !== "string") continue;
    const kind = value["kind"];
    if (Array.isArray(value["items"]) && kind.endsWith("List")) {
      queue.push(...value["items"].map((item: unknown, i) => ({ value: item, path: [...path, "items", i] })));
      continue;
    }
    const inner = templatePaths.get(kind);
    if (inner === undefined) continue;
    const template = inner.reduce<unknown>((at, key) => (isObject(at) ? at[key] : undefined), value);
    if (template === undefined) continue;
    const metadata = isObject(value["metadata"]) ? value["metadata"] : {};
    found.push({
      path: [...path, ...inner],
      value: template,
      namespace: typeof metadata["namespace"] === "string" ? metadata["namespace"] : undefined,
      owner: `${kind} ${JSON.stringify(metadata["name"] ?? metadata["generateName"] ?? "")}`,
      ownerAnnotations: inner.length > 0 && isObject(metadata["annotations"]) ? metadata["annotations"] : {},
    });
  }
  return found;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
