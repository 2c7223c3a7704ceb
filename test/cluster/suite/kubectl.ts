import { setTimeout as delay } from "node:timers/promises";
import { kubectl } from "../kind/kubectl.ts";
import type { KubernetesObject } from "./pods.ts";

export { kubectl };

/** How a kubectl that may fail has ended. */
export interface Attempt {
  readonly ok: boolean;
  /** What it wrote; if it failed its error too. */
  readonly output: string;
}

/** Runs kubectl and returns what it wrote, however it ends. */
export async function attempt(args: readonly string[], input?: string): Promise<Attempt> {
  return kubectl(args, input).then(
    (output) => ({ ok: true, output }),
    (error: Error) => ({ ok: false, output: error.message }),
  );
}

/** `kubectl apply` of objects. @throws Error with the API server's words if one is refused */
export async function apply(...objects: readonly KubernetesObject[]): Promise<void> {
  await kubectl(["apply", "-f", "-"], asList(objects));
}

/** `kubectl create` of objects; tells how it went. */
export function attemptCreate(...objects: readonly KubernetesObject[]): Promise<Attempt> {
  return attempt(["create", "-f", "-"], asList(objects));
}

/** Deletes objects, those that exist; waits until they are gone. */
export async function remove(...objects: readonly KubernetesObject[]): Promise<void> {
  await kubectl(["delete", "--ignore-not-found", "-f", "-"], asList(objects));
}

function asList(items: readonly KubernetesObject[]): string {
  return JSON.stringify({ apiVersion: "v1", kind: "List", items });
}

/** Reads one object. @throws Error if it does not exist */
export async function get<T>(resource: string, name: string, namespace?: string): Promise<T> {
  return JSON.parse(await kubectl(["get", resource, name, ...inNamespace(namespace), "-o", "json"])) as T;
}

/** Reads one object; undefined: it does not exist. */
export async function find<T>(resource: string, name: string, namespace?: string): Promise<T | undefined> {
  const args = ["get", resource, name, ...inNamespace(namespace), "--ignore-not-found", "-o", "json"];
  const text = await kubectl(args);
  return text.trim() === "" ? undefined : (JSON.parse(text) as T);
}

/** Reads the objects that a label selector picks, in one namespace or in all. */
export async function list<T>(
  resource: string,
  namespace?: string,
  selector?: string,
): Promise<readonly T[]> {
  const where = namespace === undefined ? ["--all-namespaces"] : inNamespace(namespace);
  const which = selector === undefined ? [] : ["--selector", selector];
  const text = await kubectl(["get", resource, ...where, ...which, "-o", "json"]);
  return (JSON.parse(text) as { readonly items: readonly T[] }).items;
}

/** Merges a patch into an object, as RFC 7386 says. */
export async function patch(
  resource: string,
  name: string,
  namespace: string | undefined,
  change: object,
): Promise<void> {
  const merge = ["--type=merge", "--patch", JSON.stringify(change)];
  await kubectl(["patch", resource, name, ...inNamespace(namespace), ...merge]);
}

/** What a Pod's status says, as far as tests look at it. */
export interface PodStatus extends KubernetesObject {
  readonly metadata: KubernetesObject["metadata"] & { readonly name: string; readonly namespace: string };
  readonly spec: {
    readonly nodeName?: string;
    readonly volumes?: readonly { readonly name: string; readonly image?: { readonly reference: string } }[];
    readonly containers: readonly { readonly name: string; readonly image: string }[];
  };
  readonly status: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}

/** A container's part of {@link PodStatus}. */
export interface ContainerStatus {
  readonly name: string;
  /** "containerd://" and 64 hex digits, once it has been made. */
  readonly containerID?: string;
  readonly restartCount: number;
  readonly state: Readonly<Record<string, { readonly reason?: string; readonly message?: string }>>;
}

/** Whether a Pod's condition "Ready" holds. */
export function isReady({ status }: PodStatus): boolean {
  return (
    status.conditions?.some((condition) => condition.type === "Ready" && condition.status === "True") ?? false
  );
}

/**
 * Asks again and again until there is an answer.
 *
 * @param what is waited for, in words for the error
 * @param probe its answer, or undefined or false while there is none; an Error that it throws counts as none
 * @throws Error after the deadline, with the last error of the probe
 */
export async function waitFor<T>(
  what: string,
  probe: () => Promise<T | undefined | false>,
  { deadlineMs = 120_000, everyMs = 250 }: { readonly deadlineMs?: number; readonly everyMs?: number } = {},
): Promise<T> {
  const end = Date.now() + deadlineMs;
  let cause: unknown;
  for (;;) {
    try {
      const answer = await probe();
      if (answer !== undefined && answer !== false) return answer;
    } catch (error) {
      cause = error;
    }
    if (Date.now() > end) throw new Error(`not within ${deadlineMs / 1000} s: ${what}`, { cause });
    await delay(everyMs);
  }
}

/**
 * Waits for a state of a Pod.
 *
 * @throws Error after the deadline, with the Pod's status and events
 */
export async function waitForPod(
  namespace: string,
  name: string,
  holds: (pod: PodStatus) => boolean,
  deadlineMs = 120_000,
): Promise<PodStatus> {
  const look = async (): Promise<PodStatus | undefined> => {
    const pod = await find<PodStatus>("pod", name, namespace);
    return pod !== undefined && holds(pod) ? pod : undefined;
  };
  try {
    return await waitFor(`Pod ${namespace}/${name} as wanted`, look, { deadlineMs });
  } catch (cause) {
    const pod = await find<PodStatus>("pod", name, namespace);
    const events = (await eventsOf(namespace, "Pod", name)).map(
      ({ reason, message }) => `${reason}: ${message}`,
    );
    const status = JSON.stringify(pod?.status ?? "there is no such Pod");
    throw new Error([(cause as Error).message, status, ...events].join("\n"), { cause });
  }
}

/** Waits until a Pod has ended well. */
export function waitForSuccess(namespace: string, name: string, deadlineMs?: number): Promise<PodStatus> {
  return waitForPod(namespace, name, ({ status }) => status.phase === "Succeeded", deadlineMs);
}

/** Waits until a Pod is ready. */
export function waitForReady(namespace: string, name: string, deadlineMs?: number): Promise<PodStatus> {
  return waitForPod(namespace, name, isReady, deadlineMs);
}

/** An event. */
export interface KubernetesEvent {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly count?: number;
  readonly lastTimestamp?: string;
}

/** The events of one object, in the order in which the API server has them. */
export async function eventsOf(
  namespace: string,
  kind: string,
  name: string,
): Promise<readonly KubernetesEvent[]> {
  const fields = `involvedObject.kind=${kind},involvedObject.name=${name}`;
  const text = await kubectl(["get", "events", "-n", namespace, "--field-selector", fields, "-o", "json"]);
  return (JSON.parse(text) as { readonly items: readonly KubernetesEvent[] }).items;
}

/**
 * What a container has printed. Its runtime copies that out of a pipe, in its own time: nothing is waited for up to ten
 * seconds.
 *
 * @param pod - A Pod's name, or `job/` and a Job's
 */
export async function logs(namespace: string, pod: string, ...options: readonly string[]): Promise<string> {
  for (let waited = 0; ; waited += 500) {
    const printed = await kubectl(["logs", pod, "-n", namespace, ...options]);
    if (printed !== "" || waited >= 10_000) return printed;
    await delay(500);
  }
}

/** Runs a command in a Pod's container and returns what it writes. */
export function exec(namespace: string, pod: string, ...command: readonly string[]): Promise<string> {
  return kubectl(["exec", pod, "-n", namespace, "--", ...command]);
}

/** Makes a namespace, empty: one of that name from before is deleted first. Its labels are for instance those of Pod Security. */
export async function makeNamespace(
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<void> {
  const namespace: KubernetesObject = { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } };
  await remove(namespace);
  await apply(namespace);
  // Pods are refused until the controller has made it.
  await waitFor("its service account", () => find("serviceaccount", "default", name), { everyMs: 100 });
}

/** Deletes a namespace with all in it, without waiting for its end. */
export async function removeNamespace(name: string): Promise<void> {
  await kubectl(["delete", "namespace", name, "--ignore-not-found", "--wait=false"]);
}

/** Labels of a namespace that takes restricted Pods alone. */
export const restrictedNamespace = { "pod-security.kubernetes.io/enforce": "restricted" } as const;

function inNamespace(namespace: string | undefined): readonly string[] {
  return namespace === undefined ? [] : ["-n", namespace];
}
