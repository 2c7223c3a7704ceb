import {
  annotated,
  create,
  hash,
  imageVolume,
  injected,
  pod,
  stock,
  storePath,
  type PolicyCase,
} from "./case-pods.ts";

const notInjected = {
  by: "nix-closure-injected",
  message: /no container mounts an image below \/nix\/store/,
} as const;
const notReplaced = {
  by: "nix-closure-injected",
  message: /^the image nix\.closure\/base stands for/,
} as const;

/** Which Pods go to the webhook, and what the first policy says of those that were not injected. */
export const annotationCases: readonly PolicyCase[] = [
  { name: "no annotations", ...create, pod: pod({}), asked: false },
  { name: "empty annotations", ...create, pod: pod({}, {}), asked: false },
  {
    name: "annotations of others, with names like ours",
    ...create,
    pod: pod(
      {},
      { "nix.closures": "x", "example.com/nix.closure": "x", "unix.closure": "x", "nix-closure": "x" },
    ),
    asked: false,
  },
  {
    name: "nix.closure, not injected",
    ...create,
    pod: pod({}, annotated),
    asked: true,
    refused: notInjected,
  },
  {
    name: "a container's closure, not injected",
    ...create,
    pod: pod({}, { "container.nix.closure/app": storePath }),
    asked: true,
    refused: notInjected,
  },
  ...["containers", "strategy", "profile", "path", "system", "misspelt"].map((key) => ({
    name: `nix.closure/${key} alone, which the webhook refuses`,
    ...create,
    pod: pod({}, { [`nix.closure/${key}`]: "x" }),
    asked: true,
  })),
  {
    name: "a misspelt domain of ours, which the webhook refuses",
    ...create,
    pod: pod({}, { "containers.nix.closure/app": storePath }),
    asked: true,
  },
  {
    name: "a status alone, left over from a copy",
    ...create,
    pod: pod({}, { "nix.closure/status": "{}" }),
    asked: false,
  },
  {
    name: "a mirror Pod",
    ...create,
    pod: pod({ nodeName: "node" }, { ...annotated, "kubernetes.io/config.mirror": "x" }),
    asked: false,
  },
  {
    name: "a namespace that the webhook is not given",
    ...create,
    namespace: "kube-system",
    pod: pod({}, annotated),
    refused: {
      by: "nix-closure-injected",
      message: /not given Pods of the namespace kube-system; use another/,
    },
  },
  {
    name: "our own namespace",
    ...create,
    namespace: "nix-closure-registry",
    pod: pod({}, annotated),
    refused: { by: "nix-closure-injected", message: /not given Pods of the namespace nix-closure-registry/ },
  },
  {
    name: "nix.closure, changed later",
    operation: "UPDATE",
    namespace: "shop",
    before: pod({}),
    pod: pod({}, annotated),
  },
];

/** What counts as injected. */
export const mountCases: readonly PolicyCase[] = [
  { name: "a store path's image", ...create, pod: injected(annotated), asked: true },
  { name: "a store image", ...create, pod: injected(annotated, "/nix/store") },
  {
    name: "a closure in the namespace kube-system",
    ...create,
    namespace: "kube-system",
    pod: injected(annotated),
  },
  {
    name: "an image at a place that only looks like the store",
    ...create,
    pod: injected(annotated, "/nix/store-of-mine"),
    refused: notInjected,
  },
  {
    name: "the profile alone",
    ...create,
    pod: injected(annotated, "/nix/var/nix/profiles/default"),
    refused: notInjected,
  },
  {
    name: "a volume of another kind at the store path",
    ...create,
    pod: pod(
      {
        containers: [{ name: "app", image: stock, volumeMounts: [{ name: "own", mountPath: storePath }] }],
        volumes: [{ name: "own", emptyDir: {} }, imageVolume(`localhost:5417/demo/path/${hash}:1`)],
      },
      annotated,
    ),
    refused: notInjected,
  },
  {
    name: "an init container's closure",
    ...create,
    pod: pod(
      {
        initContainers: [
          { name: "init", image: stock, volumeMounts: [{ name: `nix-${hash}`, mountPath: storePath }] },
        ],
        volumes: [imageVolume(`localhost:5417/demo/path/${hash}:1`)],
      },
      { "container.nix.closure/init": storePath },
    ),
  },
  {
    name: "a closure pushed to another registry",
    ...create,
    pod: pod(
      {
        containers: [
          { name: "app", image: stock, volumeMounts: [{ name: "nix-store", mountPath: "/nix/store" }] },
        ],
        volumes: [imageVolume(`registry.example.com/nix@sha256:${"a".repeat(64)}`, "nix-store")],
      },
      annotated,
    ),
  },
  ...["nix.closure/base", "nix.closure/base:1", "nix.closure/other"].flatMap((image) => [
    {
      name: `the image ${image} without an annotation`,
      ...create,
      pod: pod({ containers: [{ name: "app", image }] }),
      asked: false,
      refused: {
        by: "nix-closure-injected",
        message: /container app: the Pod has no annotation nix\.closure; add it/,
      },
    } as const,
    {
      name: `the image ${image} in an init container, though annotated`,
      ...create,
      pod: pod({ ...injected().spec, initContainers: [{ name: "init", image }] }, annotated),
      refused: notReplaced,
    },
  ]),
  {
    name: "an image with a name like the base image's",
    ...create,
    pod: pod({ containers: [{ name: "app", image: "nix.closure.example.com/base" }] }),
  },
];
