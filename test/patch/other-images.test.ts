import { expect, test } from "vitest";
import { countOtherImages } from "../../src/patch/other-images.ts";
import { parsePod } from "../../src/patch/pod.ts";
import { host } from "./test-admission.ts";

const base = "nix.closure/base";
const repository = "registry.example.com/nix";
const ours = `nix-${"0".repeat(32)}`;

test.for<[count: number, what: string, spec: object]>([
  [0, "no containers", { containers: [] }],
  [0, "a container without an image", { containers: [{ name: "a" }, { name: "b", image: "" }] }],
  [1, "one image", { containers: [{ name: "a", image: "x" }] }],
  [
    1,
    "one image twice",
    { containers: [{ name: "a", image: "x" }], initContainers: [{ name: "b", image: "x" }] },
  ],
  [
    3,
    "an init container and a sidecar",
    {
      containers: [{ name: "a", image: "x" }],
      initContainers: [
        { name: "b", image: "y" },
        { name: "c", image: "z", restartPolicy: "Always" },
      ],
    },
  ],
  [
    1,
    "the base image, replaced already or not",
    {
      containers: [
        { name: "a", image: base },
        { name: "b", image: `${host}/base:1` },
      ],
    },
  ],
  [
    3,
    "image volumes of its own, one of which has a container's image",
    {
      containers: [{ name: "a", image: "x" }],
      volumes: [
        { name: "a", image: { reference: "x" } },
        { name: "b", image: { reference: "y" } },
        { name: "c", image: { reference: "y" } },
        { name: ours, image: { reference: "registry.example.com/z" } },
        { name: "d", image: {} },
        { name: "e", image: null },
        { name: "f", emptyDir: {} },
      ],
    },
  ],
  [
    1,
    "volumes of ours",
    {
      containers: [{ name: "a", image: "x" }],
      volumes: [
        { name: ours, image: { reference: `${host}/demo/path/${"0".repeat(32)}:1` } },
        { name: `${ours}-00000000`, image: { reference: `${repository}@sha256:${"0".repeat(64)}` } },
      ],
    },
  ],
])("%i: %s", ([count, , spec]) => {
  expect(
    countOtherImages(parsePod({ metadata: {}, spec }), {
      host,
      baseImage: `${host}/base:1`,
      repositories: [repository],
    }),
  ).toBe(count);
});
