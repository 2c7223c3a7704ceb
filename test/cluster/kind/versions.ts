/** Versions of everything that the cluster is made of. */

/** The Kubernetes that `cluster:up` makes unless KUBERNETES_VERSION names another. */
const defaultKubernetes = "1.36.3";

/** Debian's release of the nodes and of the product's base image. */
export const debianRelease = "trixie";

/** Versions of Go modules, with their "v". Those of etcd and CoreDNS are what each kubeadm asks for. */
export const moduleVersions = {
  kind: "v0.33.0",
  containerd: "v2.3.7",
  runc: "v1.5.2",
  cniPlugins: "v1.9.1",
} as const;

/** A release of Kubernetes, "1.36.3". */
export interface KubernetesRelease {
  readonly version: string;
  readonly major: string;
  readonly minor: string;
  readonly patch: string;
  /** Whether it was asked for by name. */
  readonly chosen: boolean;
}

/**
 * The release that the environment asks for.
 *
 * @throws Error if KUBERNETES_VERSION is not of the form 1.36.3
 */
export function wantedRelease(env: NodeJS.ProcessEnv): KubernetesRelease {
  const wanted = env["KUBERNETES_VERSION"];
  const text = (wanted ?? defaultKubernetes).replace(/^v/, "");
  const [, major, minor, patch] = /^(\d+)\.(\d+)\.(\d+)$/.exec(text) ?? [];
  if (major === undefined || minor === undefined || patch === undefined)
    throw new Error(`KUBERNETES_VERSION is "${text}"; write a release such as ${defaultKubernetes}`);
  return { version: text, major, minor, patch, chosen: wanted !== undefined };
}

/**
 * The versions of Go modules, with their "v", behind images that `kubeadm config images list` names.
 *
 * @throws Error if it names no image of etcd or CoreDNS with a version
 */
export function companionVersions(images: readonly string[]): {
  readonly etcd: string;
  readonly coredns: string;
} {
  const find = (name: string): string => {
    // The last number counts builds of etcd's image: registry.k8s.io/etcd:3.6.8-0.
    const pattern = new RegExp(`/${name}:v?(\\d+\\.\\d+\\.\\d+)(?:-\\d+)?$`);
    const version = images.map((image) => pattern.exec(image)?.[1]).find((found) => found !== undefined);
    if (version === undefined) throw new Error(`kubeadm lists no ${name} image: ${images.join(", ")}`);
    return `v${version}`;
  };
  return { etcd: find("etcd"), coredns: find("coredns") };
}
