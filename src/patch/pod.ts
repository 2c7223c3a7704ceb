import { podInvalid } from "../errors.ts";

/**
 * The parts of a Pod that we read or write (core/v1). Everything else is kept as it came: all types have an index
 * signature, and objects are copied by spreading.
 */
export interface Pod {
  readonly metadata: ObjectMeta;
  readonly spec: PodSpec;
  readonly [field: string]: unknown;
}

export interface ObjectMeta {
  readonly name?: string;
  readonly namespace?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

export interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly Volume[];
  readonly nodeSelector?: Readonly<Record<string, string>>;
  readonly imagePullSecrets?: readonly LocalObjectReference[];
  readonly os?: { readonly name?: string };
  readonly [field: string]: unknown;
}

/** Names an object of the Pod's namespace. */
export interface LocalObjectReference {
  readonly name?: string;
  readonly [field: string]: unknown;
}

/** A regular, init or sidecar container; sidecars are init containers with restartPolicy Always. */
export interface Container {
  readonly name: string;
  readonly image?: string;
  readonly imagePullPolicy?: string;
  readonly env?: readonly EnvVar[];
  readonly volumeMounts?: readonly VolumeMount[];
  readonly [field: string]: unknown;
}

export interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly [field: string]: unknown;
}

export interface Volume {
  readonly name: string;
  readonly image?: { readonly reference?: string; readonly pullPolicy?: string };
  readonly [field: string]: unknown;
}

export interface VolumeMount {
  readonly name: string;
  readonly mountPath: string;
  readonly readOnly?: boolean;
  readonly [field: string]: unknown;
}

/** The lists of a Pod that hold containers which can mount volumes at creation. */
export const containerLists = ["containers", "initContainers"] as const;
export type ContainerList = (typeof containerLists)[number];

/** All containers of a Pod, regular ones first. */
export function allContainers(pod: Pod): readonly Container[] {
  return containerLists.flatMap((list) => pod.spec[list] ?? []);
}

/**
 * Takes a JSON value as a Pod after looking at the shape of what we read. The API server validates the rest.
 * @throws podInvalid naming the field that is wrong.
 */
export function parsePod(value: unknown): Pod {
  const pod = object(value, () => "object");
  const metadata =
    pod["metadata"] === undefined || pod["metadata"] === null
      ? {}
      : object(pod["metadata"], () => "metadata");
  strings(metadata["annotations"], "metadata.annotations");
  const spec = object(pod["spec"], () => "spec");
  strings(spec["nodeSelector"], "spec.nodeSelector");
  if (spec["os"] !== undefined && spec["os"] !== null)
    optionalString(object(spec["os"], () => "spec.os")["name"], () => "spec.os.name");
  checkEach(
    spec["volumes"],
    () => "spec.volumes",
    (volume, where) => {
      text(volume, "name", where);
      if (volume["image"] === undefined || volume["image"] === null) return;
      const image = object(volume["image"], () => `${where()}.image`);
      optionalString(image["reference"], () => `${where()}.image.reference`);
    },
  );
  checkEach(
    spec["imagePullSecrets"],
    () => "spec.imagePullSecrets",
    (secret, where) => optionalString(secret["name"], () => `${where()}.name`),
  );
  if (!Array.isArray(spec["containers"])) throw podInvalid("spec.containers is not a list");
  for (const list of containerLists) checkEach(spec[list], () => `spec.${list}`, checkContainer);
  // The shape has been looked at field by field above.
  return (pod["metadata"] === metadata ? pod : { ...pod, metadata }) as unknown as Pod;
}

type JsonObject = Readonly<Record<string, unknown>>;
/** Tells the place of what is looked at, which is put together only if something is wrong there. */
type Where = () => string;

function checkContainer(container: JsonObject, where: Where): void {
  text(container, "name", where);
  optionalString(container["image"], () => `${where()}.image`);
  checkEach(container["env"], () => `${where()}.env`, checkVariable);
  checkEach(container["volumeMounts"], () => `${where()}.volumeMounts`, checkMount);
}

function checkVariable(variable: JsonObject, where: Where): void {
  text(variable, "name", where);
  optionalString(variable["value"], () => `${where()}.value`);
}

function checkMount(mount: JsonObject, where: Where): void {
  text(mount, "name", where);
  text(mount, "mountPath", where);
}

function checkEach(value: unknown, where: Where, check: (item: JsonObject, where: Where) => void): void {
  if (value === undefined || value === null) return;
  if (!Array.isArray(value)) throw podInvalid(`${where()} is not a list`);
  const items: readonly unknown[] = value;
  for (let i = 0; i < items.length; i++) {
    const place = (): string => `${where()}[${i}]`;
    check(object(items[i], place), place);
  }
}

function object(value: unknown, where: Where): JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw podInvalid(`${where()} is not an object`);
  }
  return value as JsonObject;
}

function strings(value: unknown, where: string): void {
  if (value === undefined || value === null) return;
  const items = object(value, () => where);
  for (const key of Object.keys(items)) {
    if (typeof items[key] !== "string")
      throw podInvalid(`${where}[${JSON.stringify(key)}] is not a string; quote it`);
  }
}

function optionalString(value: unknown, where: Where): void {
  if (value !== undefined && value !== null && typeof value !== "string")
    throw podInvalid(`${where()} is not a string`);
}

function text(item: JsonObject, field: string, where: Where): void {
  if (typeof item[field] !== "string") throw podInvalid(`${where()}.${field} is not a string`);
}
