import { setTimeout as delay } from "node:timers/promises";
import { attemptCreate, eventsOf, list, type PodStatus, waitFor } from "./kubectl.ts";
import { annotatedPod, type PodOptions } from "./pods.ts";

/** What has become of annotated Pods that were really created. */
export interface LivePods {
  readonly succeeded: number;
  /** Refused by the webhook or because it could not be called, in the API server's words. */
  readonly refused: readonly string[];
  /** Neither created nor refused: there was no answer. */
  readonly unanswered: readonly string[];
}

const inWords =
  /admission webhook "pods\.nix\.closure" denied the request: nix-closure: |failed calling webhook "pods\.nix\.closure": /;

/** Creates annotated Pods, one after the other, until it is stopped. They print a greeting and end. */
export function createPods(options: {
  readonly namespace: string;
  /** Their names begin with it. */
  readonly prefix: string;
  readonly everyMs?: number;
  readonly atMost?: number;
  readonly spec?: PodOptions["spec"];
}): { end(deadlineMs?: number): Promise<LivePods> } {
  const { namespace, prefix, everyMs = 1500, atMost = 8, spec } = options;
  const stop = new AbortController();
  const failures: string[] = [];
  let attempts = 0;
  const create = async (): Promise<void> => {
    while (attempts < atMost && !stop.signal.aborted) {
      const name = `${prefix}-${attempts++}`;
      const labels = { live: prefix };
      // A container runtime that is ended while it starts a container calls that the container's failure.
      const pod = annotatedPod({ name, namespace, labels, spec: { restartPolicy: "OnFailure", ...spec } });
      const { ok, output } = await attemptCreate(pod);
      if (!ok) failures.push(output);
      await delay(everyMs, undefined, { signal: stop.signal }).catch(() => {});
    }
  };
  const creating = create();
  return {
    async end(deadlineMs = 120_000) {
      stop.abort();
      await creating;
      const refused = failures.filter((words) => inWords.test(words));
      return {
        succeeded: await allSucceed(namespace, prefix, deadlineMs),
        refused,
        unanswered: failures.filter((words) => !refused.includes(words)),
      };
    },
  };
}

/** @returns how many there are */
async function allSucceed(namespace: string, prefix: string, deadlineMs: number): Promise<number> {
  let pods: readonly PodStatus[] = [];
  const look = async (): Promise<boolean> => {
    pods = await list<PodStatus>("pods", namespace, `live=${prefix}`);
    return pods.every(({ status }) => status.phase === "Succeeded");
  };
  try {
    await waitFor(`the end of Pods ${prefix}`, look, { deadlineMs, everyMs: 500 });
  } catch (cause) {
    const left = pods.filter(({ status }) => status.phase !== "Succeeded");
    const [one] = left;
    const events = one === undefined ? [] : await eventsOf(namespace, "Pod", one.metadata.name);
    const words = events.map(({ reason, message }) => `${reason}: ${message}`);
    throw new Error([(cause as Error).message, JSON.stringify(left.map(state)), ...words].join("\n"), {
      cause,
    });
  }
  return pods.length;
}

function state({ metadata, spec, status }: PodStatus): object {
  return {
    pod: metadata.name,
    node: spec.nodeName,
    phase: status.phase,
    containers: status.containerStatuses,
  };
}
