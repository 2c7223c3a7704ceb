import type { Readable } from "node:stream";
import type { Pool } from "undici";
import { openConnections } from "../../test/cluster/suite/api-server.ts";
import type { KubernetesObject } from "../../test/cluster/suite/pods.ts";

/** A container's state in a Pod's status. */
export interface ContainerState {
  readonly name: string;
  readonly containerID?: string;
  readonly state: {
    readonly waiting?: { readonly reason?: string; readonly message?: string };
    readonly running?: object;
    readonly terminated?: { readonly exitCode: number; readonly reason?: string; readonly message?: string };
  };
}

/** A Pod that the API server has. */
export interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
  readonly spec: {
    readonly nodeName?: string;
    readonly containers: readonly { readonly name: string; readonly image: string }[];
    readonly volumes?: readonly { readonly name: string; readonly image?: { readonly reference: string } }[];
  };
  readonly status: { readonly phase?: string; readonly containerStatuses?: readonly ContainerState[] };
}

/** One line of a watch. */
export interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: Pod;
}

/** The Pods and events of the API server, without a kubectl, which takes 100 ms to start. */
export class PodApi implements AsyncDisposable {
  readonly #pool: Pool;

  private constructor(pool: Pool) {
    this.#pool = pool;
  }

  static async open(): Promise<PodApi> {
    return new PodApi(await openConnections(32));
  }

  /** @throws Error with the API server's words if it is refused */
  async create(pod: KubernetesObject): Promise<Pod> {
    return this.#send<Pod>("POST", podsOf(pod.metadata.namespace), pod);
  }

  /** What the Pod would be like after admission. @throws Error with the API server's words if it would be refused */
  async dryRun(pod: KubernetesObject): Promise<Pod> {
    return this.#send<Pod>("POST", `${podsOf(pod.metadata.namespace)}?dryRun=All`, pod);
  }

  /** Returns before the Pod is gone. One that does not exist is no error. */
  async delete(namespace: string, name: string): Promise<void> {
    await this.#send("DELETE", `${podsOf(namespace)}/${name}`, undefined, [404]);
  }

  async list(
    namespace: string,
  ): Promise<{ readonly items: readonly Pod[]; readonly metadata: { readonly resourceVersion: string } }> {
    return this.#send("GET", podsOf(namespace));
  }

  /** Changes from a version on, a line of JSON each (WatchEvent), as long as the connection lasts. */
  async watch(namespace: string, resourceVersion: string, signal: AbortSignal): Promise<Readable> {
    const { body } = await this.#pool.request({
      method: "GET",
      path: `${podsOf(namespace)}?watch=1&timeoutSeconds=3600&resourceVersion=${resourceVersion}`,
      // Nothing may happen for long.
      bodyTimeout: 0,
      signal,
    });
    return body;
  }

  /** How often the events of a namespace's Pods with this reason have come, by Pod. */
  async countEvents(namespace: string, reason: string): Promise<ReadonlyMap<string, number>> {
    const path = `/api/v1/namespaces/${namespace}/events?fieldSelector=reason%3D${reason}`;
    const { items } = await this.#send<{
      readonly items: readonly {
        readonly count?: number;
        readonly involvedObject: { readonly name: string };
      }[];
    }>("GET", path);
    const counts = new Map<string, number>();
    for (const { count = 1, involvedObject } of items)
      counts.set(involvedObject.name, (counts.get(involvedObject.name) ?? 0) + count);
    return counts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.destroy();
  }

  async #send<T>(
    method: "GET" | "POST" | "DELETE",
    path: string,
    body?: object,
    accepted: readonly number[] = [],
  ): Promise<T> {
    const answer = await this.#pool.request({
      method,
      path,
      headers: { "content-type": "application/json", accept: "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 300 && !accepted.includes(answer.statusCode)) {
      throw new Error(`${method} ${path}: ${answer.statusCode} ${messageOf(text)}`);
    }
    return JSON.parse(text) as T;
  }
}

function podsOf(namespace = "default"): string {
  return `/api/v1/namespaces/${namespace}/pods`;
}

function messageOf(text: string): string {
  try {
    return (JSON.parse(text) as { readonly message?: string }).message ?? text;
  } catch {
    return text;
  }
}
