import type { KubernetesObject } from "../../test/cluster/suite/pods.ts";
import { readCounters, startTimes, untilGone } from "./node-state.ts";
import type { Pod, PodApi } from "./pod-api.ts";
import type { PodWatch } from "./pod-watch.ts";
import { namespace } from "./workloads.ts";

/** What one start of Pods gave. */
export interface Start {
  /** From the creation of the Pods until the last container of all was started. */
  readonly milliseconds: number;
  /** Until the API server knew; a kubelet looks about once a second. */
  readonly seenMilliseconds: number;
  /** Pulls that failed, as the kubelet's events count them. */
  readonly failedEvents: number;
  /** Bytes that our registry sent. */
  readonly sentBytes: number;
  /** Bytes that came to the node over the network: from caches, or from a registry that is not on it. */
  readonly receivedBytes: number;
  readonly imageReferences: readonly string[];
}

const startMs = 420_000;

/**
 * Starts Pods, all at once, and waits until each of their containers was started. They are left.
 *
 * @throws Error with the Pods' status if that does not come true, or a container ends badly
 */
export async function startPods(
  { api, pods: watch }: { readonly api: PodApi; readonly pods: PodWatch },
  node: string,
  wanted: readonly KubernetesObject[],
): Promise<Start> {
  const before = await readCounters(node);
  const begun = Date.now();
  const created = await Promise.all(wanted.map((pod) => api.create(pod)));
  const names = created.map(({ metadata }) => metadata.name);
  const started = await watch.until("the start of Pods", (pods) => allStarted(names, pods), startMs);
  const seenMilliseconds = Date.now() - begun;
  const ids = started.flatMap(({ status }) =>
    (status.containerStatuses ?? []).map(({ containerID = "" }) => containerID.replace("containerd://", "")),
  );
  const times = await startTimes(node, ids);
  const after = await readCounters(node);
  const failures = await api.countEvents(namespace, "Failed");
  return {
    milliseconds: Math.round(Math.max(...times) - begun),
    seenMilliseconds,
    failedEvents: names.reduce((sum, name) => sum + (failures.get(name) ?? 0), 0),
    sentBytes: after.sentBytes - before.sentBytes,
    receivedBytes: after.receivedBytes - before.receivedBytes,
    imageReferences: [...new Set(created.flatMap(referencesOf))].toSorted(),
  };
}

/** Deletes Pods and waits until they are gone. */
export async function endPods(
  { api, pods }: { readonly api: PodApi; readonly pods: PodWatch },
  wanted: readonly KubernetesObject[],
): Promise<void> {
  const names = wanted.map(({ metadata }) => metadata.name ?? "");
  await Promise.all(names.map((name) => api.delete(namespace, name)));
  await untilGone(pods, names);
}

/** All images that a node needs for a Pod. */
export function referencesOf({ spec }: Pod): readonly string[] {
  return [
    ...spec.containers.map(({ image }) => image),
    ...(spec.volumes ?? []).flatMap(({ image }) => (image === undefined ? [] : [image.reference])),
  ];
}

function allStarted(names: readonly string[], pods: ReadonlyMap<string, Pod>): readonly Pod[] | undefined {
  const wanted = names.map((name) => pods.get(name));
  for (const pod of wanted) {
    const containers = pod?.status.containerStatuses ?? [];
    if (pod === undefined || containers.length < pod.spec.containers.length) return undefined;
    for (const { name, state } of containers) {
      const { running, terminated } = state;
      if (terminated !== undefined && terminated.exitCode !== 0)
        throw new Error(`${pod.metadata.name}: ${name} ended with ${JSON.stringify(terminated)}`);
      if (running === undefined && terminated === undefined) return undefined;
    }
  }
  return wanted.filter((pod) => pod !== undefined);
}
