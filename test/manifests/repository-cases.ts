import {
  annotated,
  create,
  hash,
  imageVolume,
  injected,
  pod,
  storePath,
  type PolicyCase,
} from "./case-pods.ts";

const digest = `sha256:${"0123456789abcdef".repeat(4)}`;

const forbidden = {
  by: "nix-closure-references",
  message:
    /^the image \S+ is from a repository of closures whose sources are not for Pods of the namespace shop; /,
} as const;

/** Of a repository that only some namespaces may use. */
const limited: readonly string[] = [
  `registry.example.com/vault@${digest}`,
  `registry.example.com:443/vault@${digest}`,
  `REGISTRY.example.com/vault@${digest}`,
  `registry.example.com/vault:tag@${digest}`,
  `registry.example.com/vault:${hash}`,
  "registry.example.com/vault",
  `docker.io/example/closures@${digest}`,
  `index.docker.io/example/closures@${digest}`,
  `example/closures@${digest}`,
  `closures@${digest}`,
  `docker.io/library/closures@${digest}`,
  `localhost:5000/closures@${digest}`,
  `127.0.0.1:05000/closures@${digest}`,
];

/** Of other repositories, whatever they are called. */
const foreign: readonly string[] = [
  `registry.example.com/vaults@${digest}`,
  `registry.example.com/vault/app:1`,
  `registry.example.com/other/vault@${digest}`,
  `registry.example.com:5000/vault@${digest}`,
  `mirror.example.com/registry.example.com/vault@${digest}`,
  `vault@${digest}`,
  `library/example/closures@${digest}`,
  `ghcr.io/example/closures@${digest}`,
  `localhost:5001/closures@${digest}`,
];

/** Which repositories of closures a Pod may name. */
export const repositoryCases: readonly PolicyCase[] = [
  ...limited.flatMap((reference): readonly PolicyCase[] => [
    {
      name: `${reference} in a volume`,
      ...create,
      pod: pod({ volumes: [imageVolume(reference)] }),
      refused: forbidden,
    },
    {
      name: `${reference} in a volume, where its source may be used`,
      ...create,
      namespace: "team-a",
      pod: pod({ volumes: [imageVolume(reference)] }),
    },
  ]),
  ...foreign.map((reference) => ({
    name: `${reference} in a volume`,
    ...create,
    pod: pod({ volumes: [imageVolume(reference)] }),
  })),
  {
    name: "a repository of two sources, for a namespace of the second one",
    ...create,
    namespace: "build",
    pod: pod({ volumes: [imageVolume(limited[0]!)] }),
  },
  {
    name: "a repository of closures as a container's image",
    ...create,
    pod: pod({ containers: [{ name: "app", image: limited[0]! }] }),
    refused: forbidden,
  },
  {
    name: "a closure out of a repository, as the webhook puts it there",
    ...create,
    namespace: "team-a",
    asked: true,
    pod: {
      ...injected(annotated),
      spec: {
        containers: [
          { name: "app", image: "debian:13", volumeMounts: [{ name: `nix-${hash}`, mountPath: storePath }] },
        ],
        volumes: [imageVolume(limited[0]!)],
      },
    },
  },
  {
    name: "a Pod whose repository was forbidden since may still change",
    operation: "UPDATE",
    namespace: "shop",
    before: pod({ volumes: [imageVolume(limited[0]!)] }, { "example.com/x": "1" }),
    pod: pod({ volumes: [imageVolume(limited[0]!)] }),
  },
  {
    name: "a container's image that becomes one of a repository of closures",
    operation: "UPDATE",
    namespace: "shop",
    before: pod({}),
    pod: pod({ containers: [{ name: "app", image: limited[0]! }] }),
    refused: forbidden,
  },
];
