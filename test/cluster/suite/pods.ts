import { productImage } from "../kind/product-image.ts";

/** Roots of the demo's binary cache. */
export const roots = {
  hello: "/nix/store/4vlwxs24hwlvm23q063xvdmkzvlxjw1s-hello-app",
  nginx: "/nix/store/q0ningk88png4ipb9hm8ja6av167wdzk-nginx-app-1.0",
  python: "/nix/store/2xm8zk49wy4fsqr9jhsi4wdxwdlc308i-python3-defaults-3.11.2-1+b1",
  mixed: "/nix/store/qk79bwpv0lwx4gm27p3h754sl2n6rsh7-mixed-app-1.0",
} as const;

/** The source of the demo's cache in the kind overlay. */
export const demoSource = "demo";

/** What stands for the image of a container that has nothing but its closure. */
export const baseImage = "nix.closure/base";

/** An object of Kubernetes. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name?: string;
    readonly generateName?: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** A container as Pods are written with. */
export interface Container {
  readonly name: string;
  readonly image: string;
  readonly [field: string]: unknown;
}

/** What a Pod can differ in. */
export interface PodOptions {
  readonly name: string;
  readonly namespace: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** On top of `nix.closure`. */
  readonly annotations?: Readonly<Record<string, string>>;
  readonly command?: readonly string[];
  /** Fields of the one container, over those that are made here. */
  readonly container?: Readonly<Record<string, unknown>>;
  /** Fields of the Pod's spec, over those that are made here; for instance nodeName, restartPolicy. */
  readonly spec?: Readonly<Record<string, unknown>>;
}

/**
 * For Pods whose program ends well: where cgroups are v1, runc fails now and then to freeze the first process of a
 * container on a busy machine ("unable to freeze"), and nothing but another try helps.
 */
export const untilItEndsWell = { restartPolicy: "OnFailure" } as const;

/** A Pod's part of what the Pod Security standard "restricted" asks for. */
export const restrictedPod = {
  runAsNonRoot: true,
  runAsUser: 65_532,
  runAsGroup: 65_532,
  seccompProfile: { type: "RuntimeDefault" },
} as const;

/** A container's part of the same. */
export const restrictedContainer = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ["ALL"] },
} as const;

/** A program of Node that ends on SIGTERM and does nothing until then. */
export const sleep: readonly string[] = [
  "node",
  "-e",
  "process.on('SIGTERM', () => process.exit(0)); setInterval(() => {}, 1e6)",
];

/** A Pod without any annotation of ours, from the product's image, which is on all nodes. It sleeps. */
export function plainPod(options: PodOptions): KubernetesObject {
  return pod(options, {
    name: "app",
    image: productImage,
    imagePullPolicy: "Never",
    command: options.command ?? sleep,
  });
}

/** A Pod with a closure of the demo's cache and the base image; hello-app's `run` prints a greeting and ends. */
export function annotatedPod(options: PodOptions & { readonly root?: string }): KubernetesObject {
  const annotations = {
    "nix.closure": `${demoSource}:${options.root ?? roots.hello}`,
    ...options.annotations,
  };
  const container = { name: "app", image: baseImage, command: options.command ?? ["run"] };
  return pod({ spec: { restartPolicy: "Never" }, ...options, annotations }, container);
}

function pod(options: PodOptions, container: Container): KubernetesObject {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: options.name,
      namespace: options.namespace,
      ...(options.labels === undefined ? {} : { labels: options.labels }),
      ...(options.annotations === undefined ? {} : { annotations: options.annotations }),
    },
    spec: {
      terminationGracePeriodSeconds: 1,
      automountServiceAccountToken: false,
      securityContext: restrictedPod,
      containers: [{ ...container, securityContext: restrictedContainer, ...options.container }],
      ...options.spec,
    },
  };
}

/** A Deployment of such Pods; their name is its name. */
export function deploymentOf(pod: KubernetesObject, replicas: number): KubernetesObject {
  const { name = "", namespace, labels, annotations } = pod.metadata;
  const all = { ...labels, app: name };
  const { restartPolicy: _, ...spec } = pod["spec"] as Record<string, unknown>;
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: all, ...(annotations === undefined ? {} : { annotations }) }, spec },
    },
  };
}
