import type { InjectedPod } from "./injected.ts";
import type { KubernetesObject } from "./pods.ts";

/** A Pod as tools for backups create it again: without what the API server and the node have put there. */
export function restorable({ apiVersion, kind, metadata, spec }: InjectedPod): KubernetesObject {
  const { name, namespace, labels, annotations } = metadata;
  const { nodeName: _, ...rest } = spec;
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      namespace,
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
    },
    spec: rest,
  };
}
