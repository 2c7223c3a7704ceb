import { list, type PodStatus, waitFor, waitForSuccess } from "./kubectl.ts";

/** A container of a Pod that the API server has. */
export interface InjectedContainer {
  readonly name: string;
  readonly image: string;
  readonly imagePullPolicy: string;
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly volumeMounts?: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly readOnly?: boolean;
  }[];
}

/** A Pod that the API server has, with the parts that the webhook writes. */
export interface InjectedPod extends PodStatus {
  readonly spec: Omit<PodStatus["spec"], "containers" | "volumes"> & {
    readonly initContainers?: readonly InjectedContainer[];
    readonly containers: readonly InjectedContainer[];
    readonly volumes?: readonly {
      readonly name: string;
      readonly image?: { readonly reference: string; readonly pullPolicy: string };
    }[];
  };
}

/** References of the Pod's image volumes, by volume name. */
export function imageVolumes({ spec }: InjectedPod): ReadonlyMap<string, string> {
  return new Map(
    (spec.volumes ?? []).flatMap(({ name, image }) => (image === undefined ? [] : [[name, image.reference]])),
  );
}

/** A container of a Pod, of whatever kind. @throws Error if it has none of that name */
export function containerOf({ spec }: InjectedPod, name: string): InjectedContainer {
  const found = [...spec.containers, ...(spec.initContainers ?? [])].find(
    (container) => container.name === name,
  );
  if (found === undefined) throw new Error(`the Pod has no container ${name}`);
  return found;
}

/** Where a container has image volumes, in ascending order. */
export function closureMounts(pod: InjectedPod, container: string): readonly string[] {
  const volumes = imageVolumes(pod);
  return (containerOf(pod, container).volumeMounts ?? [])
    .filter(({ name }) => volumes.has(name))
    .map(({ mountPath }) => mountPath)
    .toSorted();
}

/** Waits until Pods have ended, all of them well. @throws Error about one that has not, with its status and events */
export async function waitForAll(
  namespace: string,
  names: readonly string[],
  deadlineMs = 120_000,
): Promise<readonly InjectedPod[]> {
  let ended: readonly InjectedPod[] = [];
  // One question for all of them: a kubectl for each Pod would keep a small machine busy.
  const look = async (): Promise<boolean> => {
    const pods = await list<InjectedPod>("pods", namespace);
    ended = pods.filter(
      ({ metadata, status }) =>
        names.includes(metadata.name) && ["Succeeded", "Failed"].includes(status.phase ?? ""),
    );
    return ended.length === names.length;
  };
  await waitFor(`the end of ${names.join(", ")}`, look, { deadlineMs, everyMs: 500 }).catch(() => false);
  return Promise.all(
    names.map(async (name) => {
      const found = ended.find(({ metadata }) => metadata.name === name);
      if (found?.status.phase === "Succeeded") return found;
      return (await waitForSuccess(namespace, name, 0)) as InjectedPod;
    }),
  );
}
