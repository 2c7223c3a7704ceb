import { annotated, create, hash, imageVolume, injected, pod, stock, type PolicyCase } from "./case-pods.ts";

const forbidden = { by: "nix-closure-references", message: /may use only: demo, other;/ } as const;

/** Spellings of the node's loopback. */
const loopbackHosts: readonly string[] = [
  "localhost:5417",
  "LocalHost:5417",
  "localhost:05417",
  "localhost:0005417",
  "127.0.0.1:5417",
  "127.1:5417",
  "127.255.3.4:5417",
  "0.0.0.0:5417",
  "[::1]:5417",
  "[::1]:05417",
  "[0:0:0:0:0:0:0:1]:5417",
  "[::FFFF:127.0.0.1]:5417",
  "[::]:5417",
];

/** Hosts that are not our registry, however near they look. */
const foreignHosts: readonly string[] = [
  "localhost",
  "localhost:5418",
  "localhost:54170",
  "localhost:15417",
  "notlocalhost:5417",
  "localhost.example.com:5417",
  "128.0.0.1:5417",
  "registry.example.com",
  "registry.example.com/localhost:5417",
];

/** What the container runtime would look up among the images that the node has. */
const imageIds: readonly string[] = [
  `sha256:${"0123456789abcdef".repeat(4)}`,
  "sha256:0123456789ab",
  "sha256:0",
  "0123456789abcdef".repeat(4),
];

/** Images with names of their own, however much they look like an ID. */
const likeIds: readonly string[] = [
  "deadbeef",
  "0123456789ab",
  "cafe:1",
  "a".repeat(63),
  `${"a".repeat(64)}:1`,
  "sha256:v1",
  "library/sha256:0123456789ab",
  "registry.example.com/sha256:0123456789ab",
  `debian@sha256:${"a".repeat(64)}`,
  `sha256@sha256:${"a".repeat(64)}`,
  `registry.example.com/debian:13@sha256:${"a".repeat(64)}`,
];

const byId = {
  by: "nix-closure-references",
  message: /^the image \S+ is named by its ID, .*; name it by its repository, with a tag or a digest$/,
} as const;

const teamImage = `team/path/${hash}:1`;

/** Which images of our registry a Pod may name. */
export const referenceCases: readonly PolicyCase[] = [
  ...loopbackHosts.flatMap((host): readonly PolicyCase[] => [
    {
      name: `${host} in a volume`,
      ...create,
      pod: pod({ volumes: [imageVolume(`${host}/${teamImage}`)] }),
      refused: forbidden,
    },
    {
      name: `${host} in a volume, of a source for all`,
      ...create,
      pod: pod({ volumes: [imageVolume(`${host}/demo/path/${hash}:1`)] }),
    },
  ]),
  ...foreignHosts.map((host) => ({
    name: `${host} in a volume`,
    ...create,
    pod: pod({ volumes: [imageVolume(`${host}/${teamImage}`)] }),
  })),
  ...(["containers", "initContainers"] as const).map((list) => ({
    name: `an image of ${list}`,
    ...create,
    pod: pod({ [list]: [{ name: list.toLowerCase(), image: `localhost:5417/${teamImage}` }] }),
    refused: forbidden,
  })),
  ...["team-a", "team-b-c", "build"].map((namespace) => ({
    name: `a namespace that may use the source: ${namespace}`,
    ...create,
    namespace,
    pod: pod({ volumes: [imageVolume(`localhost:5417/${teamImage}`)] }),
  })),
  ...["team", "ateam-a", "builds", "prebuild"].map((namespace) => ({
    name: `a namespace with a name like one that may: ${namespace}`,
    ...create,
    namespace,
    pod: pod({ volumes: [imageVolume(`localhost:5417/${teamImage}`)] }),
    refused: forbidden,
  })),
  {
    name: "kube-system has no more sources than others",
    ...create,
    namespace: "kube-system",
    pod: pod({ volumes: [imageVolume(`localhost:5417/${teamImage}`)] }),
    refused: forbidden,
  },
  {
    name: "the base image",
    ...create,
    pod: pod({ containers: [{ name: "app", image: "localhost:5417/base:1" }] }),
  },
  {
    name: "the base image, pinned",
    ...create,
    pod: pod({ containers: [{ name: "app", image: `127.0.0.1:5417/base:1@sha256:${"a".repeat(64)}` }] }),
  },
  ...["base/path/x:1", "basement/path/x:1", "demos/path/x:1", "demo:1", "demo", "x/demo/path:1"].map(
    (repository) => ({
      name: `a repository of no source: ${repository}`,
      ...create,
      pod: pod({ volumes: [imageVolume(`localhost:5417/${repository}`)] }),
      refused: forbidden,
    }),
  ),
  {
    name: "a store image of several roots",
    ...create,
    pod: pod({ volumes: [imageVolume(`localhost:5417/other/closure/${hash}_${hash}:1-a-0123456789abcdef`)] }),
  },
  {
    name: "the message names the image, its source and the namespace",
    ...create,
    pod: pod({ volumes: [imageVolume(`localhost:5417/${teamImage}`)] }),
    refused: {
      by: "nix-closure-references",
      message:
        /^the image localhost:5417\/team\/path\/\w+:1 is of the source team, and Pods of the namespace shop may use/,
    },
  },
];

/** IDs take an image from whatever source it came. */
export const imageIdCases: readonly PolicyCase[] = [
  ...imageIds.flatMap((image): readonly PolicyCase[] => [
    {
      name: `an ID as a container's image: ${image}`,
      ...create,
      pod: pod({ containers: [{ name: "app", image }] }),
      refused: byId,
    },
    {
      name: `an ID in a volume: ${image}`,
      ...create,
      pod: pod({ volumes: [imageVolume(image)] }),
      refused: byId,
    },
  ]),
  {
    name: "an ID as an init container's image",
    ...create,
    pod: pod({ initContainers: [{ name: "init", image: imageIds[0]! }] }),
    refused: byId,
  },
  ...likeIds.map((image) => ({
    name: `an image that is named like an ID: ${image}`,
    ...create,
    pod: pod({ containers: [{ name: "app", image }], volumes: [imageVolume(image)] }),
  })),
  {
    name: "a Pod that names an ID since before may still change",
    operation: "UPDATE",
    namespace: "shop",
    before: pod({ containers: [{ name: "app", image: imageIds[0]! }] }, { "example.com/x": "1" }),
    pod: pod({ containers: [{ name: "app", image: imageIds[0]! }] }),
  },
  {
    name: "a container's image that becomes an ID",
    operation: "UPDATE",
    namespace: "shop",
    before: pod({}),
    pod: pod({ containers: [{ name: "app", image: imageIds[1]! }] }),
    refused: byId,
  },
  {
    name: "an ID that becomes another one",
    operation: "UPDATE",
    namespace: "shop",
    before: pod({ containers: [{ name: "app", image: imageIds[0]! }] }),
    pod: pod({ containers: [{ name: "app", image: imageIds[1]! }] }),
    refused: byId,
  },
  {
    name: "an ephemeral container with an ID",
    operation: "EPHEMERAL",
    namespace: "shop",
    before: pod({}),
    pod: pod({ ephemeralContainers: [{ name: "debug", image: imageIds[0]! }] }),
    refused: byId,
  },
];

/** Changes of a Pod that is there. */
export const updateCases: readonly PolicyCase[] = [
  {
    name: "a Pod whose source was forbidden since may still change",
    operation: "UPDATE",
    namespace: "shop",
    before: pod({ volumes: [imageVolume(`localhost:5417/${teamImage}`)] }, { "example.com/x": "1" }),
    pod: pod({ volumes: [imageVolume(`localhost:5417/${teamImage}`)] }),
  },
  {
    name: "a container's image that becomes one of ours",
    operation: "UPDATE",
    namespace: "shop",
    before: pod({}),
    pod: pod({ containers: [{ name: "app", image: `localhost:5417/${teamImage}` }] }),
    refused: forbidden,
  },
  {
    name: "a container's image that becomes another one of ours",
    operation: "UPDATE",
    namespace: "shop",
    before: pod({ containers: [{ name: "app", image: "localhost:5417/base:1" }] }),
    pod: pod({ containers: [{ name: "app", image: `localhost:5417/${teamImage}` }] }),
    refused: forbidden,
  },
  {
    name: "an ephemeral container with an image of ours",
    operation: "EPHEMERAL",
    namespace: "shop",
    before: pod({}),
    pod: pod({ ephemeralContainers: [{ name: "debug", image: `[::1]:5417/${teamImage}` }] }),
    refused: forbidden,
  },
  {
    name: "an ephemeral container with any other image",
    operation: "EPHEMERAL",
    namespace: "shop",
    before: injected(annotated),
    pod: pod({ ...injected().spec, ephemeralContainers: [{ name: "debug", image: stock }] }, annotated),
  },
];
