/** Pods of up to 3 MiB, what an API server takes: one of them must not keep the others waiting. */
import { describe, expect, test } from "vitest";

import { review, type AdmissionRequest } from "../../src/webhook/review.ts";
import { testAdmission } from "../patch/test-admission.ts";

const hello = "/nix/store/4vlwxs24hwlvm23q063xvdmkzvlxjw1s-hello-app";
const mebibyte = 2 ** 20;

interface Shape {
  readonly annotations: Readonly<Record<string, string>>;
  readonly containers: readonly object[];
  readonly [field: string]: unknown;
}

const named = (count: number, more: object = {}): object[] =>
  Array.from({ length: count }, (_, index) => ({ name: `c${index}`, ...more }));
const closuresFor = (count: number, prefix: string, value = hello): Record<string, string> =>
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`container.nix.closure/${prefix}${index}`, value]),
  );
const all = { "nix.closure": hello };

const pods: readonly (readonly [string, Shape, string])[] = [
  [
    "annotations for 20,000 containers that it does not have, beside 20,000 others",
    { annotations: { ...all, ...closuresFor(20_000, "x") }, containers: named(20_000) },
    "ANNOTATIONS_INVALID",
  ],
  [
    "20,000 containers that are selected by name",
    {
      annotations: {
        ...all,
        "nix.closure/containers": Array.from({ length: 20_000 }, (_, i) => `c${i}`).join(),
      },
      containers: named(20_000),
    },
    "OBJECT_TOO_LARGE",
  ],
  [
    "20,000 containers with a closure of their own, all the same",
    { annotations: closuresFor(20_000, "c"), containers: named(20_000) },
    "OBJECT_TOO_LARGE",
  ],
  [
    "5000 containers with a closure of their own, each another",
    {
      annotations: Object.fromEntries(
        Array.from({ length: 5000 }, (_, i) => [
          `container.nix.closure/c${i}`,
          `/nix/store/${String(i).padStart(32, "0")}-app`,
        ]),
      ),
      containers: named(5000),
    },
    "TOO_MANY_CLOSURES",
  ],
  [
    "100,000 words that are no store path",
    { annotations: { "nix.closure": "some/words, ".repeat(200_000) }, containers: named(1) },
    "ANNOTATIONS_INVALID",
  ],
  [
    "50,000 annotations that do not exist",
    {
      annotations: Object.fromEntries(
        Array.from({ length: 50_000 }, (_, i) => [`nix.closure/stratgy${i}`, "x"]),
      ),
      containers: named(1),
    },
    "ANNOTATIONS_INVALID",
  ],
  [
    "an annotation with a key of 2 MiB",
    { annotations: { ...all, [`nix.closure/${"x".repeat(2 * mebibyte)}`]: "x" }, containers: named(1) },
    "ANNOTATION_UNKNOWN",
  ],
  [
    "20,000 words that are no store path, for a container with a name of 500 kB",
    {
      annotations: { [`container.nix.closure/${"c".repeat(500_000)}`]: "word ".repeat(20_000) },
      containers: [{ name: "c".repeat(500_000) }],
    },
    "ANNOTATIONS_INVALID",
  ],
  [
    "20,000 mounts where the closure goes, in each of several containers",
    {
      annotations: all,
      containers: named(5, {
        volumeMounts: Array.from({ length: 4000 }, (_, i) => ({ name: `v${i}`, mountPath: hello })),
      }),
      volumes: Array.from({ length: 4000 }, (_, i) => ({ name: `v${i}` })),
    },
    "ANNOTATIONS_INVALID",
  ],
  [
    "10,000 images that look like the base image",
    { annotations: all, containers: named(10_000, { image: "nix.closure/bass" }) },
    "ANNOTATIONS_INVALID",
  ],
];

test("a Pod that is nested too deeply to be written is refused in words", async () => {
  const levels = 100_000;
  const text = `{"metadata":{"annotations":{"nix.closure":"${hello}"}},"spec":{"containers":[{"name":"a"}],"x":`;
  const object: unknown = JSON.parse(`${text}${"[".repeat(levels)}${"]".repeat(levels)}}}`);
  const { response, outcome } = await review({ uid: "7", operation: "CREATE", object }, testAdmission());
  expect(outcome.reason).toBe("POD_INVALID");
  expect(response.status).toMatchObject({ code: 400 });
});

describe("a Pod with", () => {
  // Time of a processor whose caches others use at the same time.
  test.for(pods)(
    "%s is answered soon, in few words",
    { retry: 2 },
    async ([, { annotations, ...spec }, code]) => {
      const object = { metadata: { name: "app", annotations }, spec };
      const admissionRequest = { uid: "7", operation: "CREATE", object } satisfies AdmissionRequest;
      expect(JSON.stringify(object).length).toBeLessThan(4 * mebibyte);
      const started = process.cpuUsage();
      const { response, outcome } = await review(admissionRequest, testAdmission());
      const { user, system } = process.cpuUsage(started);
      expect(outcome.reason).toBe(code);
      expect(response.status?.message.length).toBeLessThan(30_000);
      expect((user + system) / 1000).toBeLessThan(2500);
    },
  );
});
