/** Versions of everything that the cluster is made of. */

/** The Kubernetes that `cluster:up` makes unless KUBERNETES_VERSION names another. */
const defaultKubernetes = "1.36.3";

/** Debian's release of the nodes and of the product's base image. */
export const debianRelease = "trixie";

/** Versions of Go modules, with their "v". */
export const moduleVersions = {
  kind: "v0.33.0",
  containerd: "v2.3.7",
  runc: "v1.5.2",
  etcd: "v3.6.7",
  coredns: "v1.14.2",
  cniPlugins: "v1.9.1",
} as const;

/** A release of Kubernetes, "1.36.3". */
export interface KubernetesRelease {
  readonly version: string;
  readonly major: string;
  readonly minor: string;
  readonly patch: string;
}

/**
 * The release that the environment asks for.
 *
 * @throws Error if KUBERNETES_VERSION is not of the form 1.36.3
 */
export function wantedRelease(env: NodeJS.ProcessEnv): KubernetesRelease {
  const text = (env["KUBERNETES_VERSION"] ?? defaultKubernetes).replace(/^v/, "");
  const [, major, minor, patch] = /^(\d+)\.(\d+)\.(\d+)$/.exec(text) ?? [];
  if (major === undefined || minor === undefined || patch === undefined)
    throw new Error(`KUBERNETES_VERSION is "${text}"; write a release such as ${defaultKubernetes}`);
  return { version: text, major, minor, patch };
}
