import { setTimeout as delay } from "node:timers/promises";
import { makeNamespace, waitFor } from "../../test/cluster/suite/kubectl.ts";
import { registryNamespace } from "../../test/cluster/suite/product.ts";
import type { KubernetesObject } from "../../test/cluster/suite/pods.ts";
import type { BenchCluster, KubeletName } from "./bench-cluster.ts";
import { mainClosures, warmUp } from "./closures.ts";
import { type ImageParts, partsOf } from "./image-bytes.ts";
import { forgetSince, type NodeContents, readContents, renewRegistry, untilServing } from "./node-state.ts";
import { type Pod, PodApi } from "./pod-api.ts";
import { PodWatch } from "./pod-watch.ts";
import { endPods, referencesOf, type Start, startPods } from "./start.ts";
import { componentLabel, components, type Pacing } from "./product.ts";
import { namespace, podsOf } from "./workloads.ts";

const settleMs = 120_000;
/** A kubelet, and a registry that paces, have a pull more again after so long. Milliseconds. */
const refillMs = 250;
/** A registry that has just started does not know what its node has pulled before, and begins with none of these pulls. */
const burst = 8;

/** Starts of Pods on the cluster, and the state of its nodes in between. */
export class Session implements AsyncDisposable {
  readonly cluster: BenchCluster;
  readonly #api: PodApi;
  readonly #pods: PodWatch;
  readonly #registries: PodWatch;
  /** What the workers had before the first Pod. */
  readonly #empty: Readonly<Record<KubeletName, NodeContents>>;
  /** When kubelets and registries have all of their burst again. Milliseconds since the epoch. */
  #refilledAt = 0;
  /** The end of the Pods that were started last. */
  #ending: Promise<void> = Promise.resolve();

  private constructor(
    cluster: BenchCluster,
    api: PodApi,
    watches: { readonly pods: PodWatch; readonly registries: PodWatch },
    empty: Readonly<Record<KubeletName, NodeContents>>,
  ) {
    this.cluster = cluster;
    this.#api = api;
    this.#pods = watches.pods;
    this.#registries = watches.registries;
    this.#empty = empty;
  }

  /** The product must be installed. */
  static async open(cluster: BenchCluster): Promise<Session> {
    await makeNamespace(namespace);
    const api = await PodApi.open();
    const watches = {
      pods: await PodWatch.open(api, namespace),
      registries: await PodWatch.open(api, registryNamespace),
    };
    const { stock, tuned } = cluster.nodes;
    const empty = {
      stock: await readContents(stock, "empty"),
      tuned: await readContents(tuned, "empty"),
    };
    return new Session(cluster, api, watches, empty);
  }

  /** Waits until the webhook reviews Pods, and each worker has the registry that it should have, which serves. */
  async settle(wanted: Readonly<Record<KubeletName, Pacing>>): Promise<void> {
    for (const kubelet of ["stock", "tuned"] as const) {
      const node = this.cluster.nodes[kubelet];
      await this.#registries.until(
        `the registry of ${node}`,
        (pods) => {
          const found = [...pods.values()].filter(({ spec }) => spec.nodeName === node);
          const [pod] = found;
          return (
            found.length === 1 &&
            pod?.metadata.deletionTimestamp === undefined &&
            pod?.metadata.labels?.[componentLabel] === components[wanted[kubelet]]
          );
        },
        settleMs,
      );
      await untilServing(node);
    }
    const [closure] = mainClosures;
    if (closure === undefined) return;
    const workload = { name: closure.name, closures: [closure] };
    const [pod] = podsOf(workload, { carrier: "auto", source: "fast", node: this.cluster.nodes.stock });
    if (pod === undefined) return;
    const isInjected = async (): Promise<boolean> =>
      (await this.admit(pod)).spec.volumes?.some(({ image }) => image !== undefined) ?? false;
    await waitFor("a webhook that injects", isInjected, { deadlineMs: settleMs });
  }

  /** What the Pod would be like after admission. @throws Error if it is refused */
  admit(pod: KubernetesObject): Promise<Pod> {
    return this.#api.dryRun(pod);
  }

  /**
   * Makes a node cold.
   *
   * @param options.registry whether its registry too forgets everything
   * @param options.except what it keeps; absent: what it had before the first Pod
   */
  async makeCold(
    kubelet: KubeletName,
    options: { readonly registry: boolean; readonly except?: NodeContents },
  ): Promise<void> {
    const node = this.cluster.nodes[kubelet];
    await Promise.all([
      this.#ending.then(() => forgetSince(node, options.except ?? this.#empty[kubelet])),
      options.registry
        ? renewRegistry(this.#api, this.#registries, node).then(() => this.#warmUp(node))
        : undefined,
    ]);
  }

  /**
   * Has a registry make images of a closure of its own: registries run for weeks, and one that has just started compiles
   * its own code first.
   */
  async #warmUp(node: string): Promise<void> {
    const workload = { name: warmUp.name, closures: [warmUp] };
    const [pod] = podsOf(workload, { carrier: "bundle", source: "fast", node });
    if (pod === undefined) return;
    await partsOf(node, [...new Set(referencesOf(await this.admit(pod)))]);
    this.#refilledAt = Date.now() + refillMs * burst;
  }

  /** What a node has now, under a name of its own. */
  contents(kubelet: KubeletName, name: string): Promise<NodeContents> {
    return readContents(this.cluster.nodes[kubelet], name);
  }

  /** What images consist of; their registries on the node must have them. */
  async partsOf(kubelet: KubeletName, references: readonly string[]): Promise<ImageParts> {
    const parts = await partsOf(this.cluster.nodes[kubelet], references);
    // The registry counts these requests as pulls.
    this.#refilledAt = Date.now() + refillMs * references.length;
    return parts;
  }

  /**
   * Starts Pods, measures, and begins to take them away. Their images stay.
   *
   * @throws Error if they do not start
   */
  async start(kubelet: KubeletName, pods: readonly KubernetesObject[]): Promise<Start> {
    const both = { api: this.#api, pods: this.#pods };
    await this.#ending;
    await delay(Math.max(0, this.#refilledAt - Date.now()));
    try {
      const start = await startPods(both, this.cluster.nodes[kubelet], pods);
      this.#refilledAt = Date.now() + refillMs * start.imageReferences.length;
      return start;
    } finally {
      this.#ending = endPods(both, pods);
      // Heard of by who waits for it next.
      this.#ending.catch(() => undefined);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ending.catch(() => undefined);
    await this.#pods[Symbol.asyncDispose]();
    await this.#registries[Symbol.asyncDispose]();
    await this.#api[Symbol.asyncDispose]();
  }
}
