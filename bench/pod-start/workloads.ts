import type { KubernetesObject } from "../../test/cluster/suite/pods.ts";
import { baseImage, restrictedContainer, restrictedPod } from "../../test/cluster/suite/pods.ts";
import type { SourceName } from "./cache-servers.ts";
import type { BenchClosure } from "./closures.ts";
import { plainReference, sidecarImage } from "./plain-registry.ts";

/** Where measured Pods are. */
export const namespace = "pod-start";

/** What carries a Pod's closures: a plan of ours, or one plain image for each. */
export type Carrier = "plain" | "auto" | "per-path" | "packed" | "bundle";

/** Pods that are started at once. */
export interface Workload {
  readonly name: string;
  /** One container for each; they are different ones. */
  readonly closures: readonly BenchClosure[];
  /** Each Pod has a container with a foreign image too, which goes on running. */
  readonly sidecar?: boolean;
  /** 1 without it. */
  readonly pods?: number;
}

let started = 0;

/**
 * Pods of a workload on a node, with names of their own.
 *
 * @param source the cache that their closures come from
 */
export function podsOf(
  workload: Workload,
  options: { readonly carrier: Carrier; readonly source: SourceName; readonly node: string },
): readonly KubernetesObject[] {
  return Array.from({ length: workload.pods ?? 1 }, () => podOf(workload, options));
}

function podOf(
  { closures, sidecar = false }: Workload,
  { carrier, source, node }: Parameters<typeof podsOf>[1],
): KubernetesObject {
  const annotated = closures.map(({ roots }, index): readonly [string, string] => [
    `container.nix.closure/${containerName(index)}`,
    `${source}:${roots.join(" ")}`,
  ]);
  const annotations =
    carrier === "plain" ? {} : { ...Object.fromEntries(annotated), "nix.closure/strategy": carrier };
  const containers = closures.map((closure, index) => ({
    name: containerName(index),
    image: carrier === "plain" ? plainReference(closure) : baseImage,
    imagePullPolicy: "IfNotPresent",
    command: closure.command,
    securityContext: restrictedContainer,
  }));
  const foreign = {
    name: "sidecar",
    image: sidecarImage,
    imagePullPolicy: "IfNotPresent",
    securityContext: restrictedContainer,
  };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: `start-${++started}`, namespace, annotations },
    spec: {
      nodeSelector: { "kubernetes.io/hostname": node },
      restartPolicy: "Never",
      terminationGracePeriodSeconds: 1,
      enableServiceLinks: false,
      securityContext: restrictedPod,
      containers: sidecar ? [...containers, foreign] : containers,
    },
  };
}

function containerName(index: number): string {
  return `app-${index + 1}`;
}
