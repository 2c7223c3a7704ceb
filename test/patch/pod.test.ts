import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { allContainers, parsePod } from "../../src/patch/pod.ts";
import { failureOf } from "../nix/failure.ts";

const container = { name: "app", image: "debian:12" };
const spec = { containers: [container] };

describe("parsePod", () => {
  test.for<[unknown, string]>([
    [undefined, "object is not an object"],
    [null, "object is not an object"],
    ["Pod", "object is not an object"],
    [[], "object is not an object"],
    [{}, "spec is not an object"],
    [{ metadata: 1, spec }, "metadata is not an object"],
    [{ metadata: [], spec }, "metadata is not an object"],
    [{ metadata: { annotations: [] }, spec }, "metadata.annotations is not an object"],
    [
      { metadata: { annotations: { "nix.closure/path": true } }, spec },
      'metadata.annotations["nix.closure/path"] is not a string; quote it',
    ],
    [{ metadata: { annotations: { a: null } }, spec }, 'metadata.annotations["a"] is not a string; quote it'],
    [{ spec: null }, "spec is not an object"],
    [{ spec: {} }, "spec.containers is not a list"],
    [{ spec: { containers: {} } }, "spec.containers is not a list"],
    [{ spec: { containers: [null] } }, "spec.containers[0] is not an object"],
    [{ spec: { containers: [container, {}] } }, "spec.containers[1].name is not a string"],
    [{ spec: { containers: [{ name: "app", image: 12 }] } }, "spec.containers[0].image is not a string"],
    [{ spec: { containers: [{ name: "app", env: {} }] } }, "spec.containers[0].env is not a list"],
    [{ spec: { containers: [{ name: "app", env: ["A=b"] }] } }, "spec.containers[0].env[0] is not an object"],
    [
      { spec: { containers: [{ name: "app", env: [{ name: "PATH", value: 1 }] }] } },
      "spec.containers[0].env[0].value is not a string",
    ],
    [
      { spec: { containers: [{ name: "app", volumeMounts: "x" }] } },
      "spec.containers[0].volumeMounts is not a list",
    ],
    [
      { spec: { containers: [{ name: "app", volumeMounts: [{ name: "x" }] }] } },
      "spec.containers[0].volumeMounts[0].mountPath is not a string",
    ],
    [{ spec: { ...spec, initContainers: [{}] } }, "spec.initContainers[0].name is not a string"],
    [{ spec: { ...spec, initContainers: "x" } }, "spec.initContainers is not a list"],
    [{ spec: { ...spec, volumes: {} } }, "spec.volumes is not a list"],
    [{ spec: { ...spec, volumes: [{ image: {} }] } }, "spec.volumes[0].name is not a string"],
    [{ spec: { ...spec, volumes: [{ name: "v", image: "x" }] } }, "spec.volumes[0].image is not an object"],
    [
      { spec: { ...spec, volumes: [{ name: "v", image: { reference: 1 } }] } },
      "spec.volumes[0].image.reference is not a string",
    ],
    [{ spec: { ...spec, nodeSelector: "x" } }, "spec.nodeSelector is not an object"],
    [{ spec: { ...spec, nodeSelector: { a: 1 } } }, 'spec.nodeSelector["a"] is not a string; quote it'],
  ])("%j: %s", ([value, why]) => {
    const error = failureOf(() => parsePod(value));
    expect(error.code).toBe("POD_INVALID");
    expect(error.message).toBe(`malformed Pod: ${why}`);
  });

  test("gives the very object back", () => {
    const pod = { metadata: {}, spec, other: { kept: true } };
    expect(parsePod(pod)).toBe(pod);
  });

  test.for([{ spec }, { metadata: null, spec }])("%j has metadata afterwards", (value) => {
    expect(parsePod(value)).toEqual({ metadata: {}, spec });
  });

  test("takes null for a missing field", () => {
    const nothing = { image: null, env: null, volumeMounts: null };
    const pod = {
      metadata: { annotations: null },
      spec: {
        containers: [{ name: "app", ...nothing }],
        initContainers: null,
        volumes: [{ name: "v", image: null }],
        nodeSelector: null,
      },
    };
    expect(parsePod(pod)).toBe(pod);
  });

  test("throws nothing but POD_INVALID, whatever comes", () => {
    const shapes = fc.object({
      key: fc.constantFrom("metadata", "spec", "containers", "name", "x"),
      maxDepth: 4,
    });
    fc.assert(
      fc.property(fc.oneof(fc.anything(), shapes), (value) => {
        try {
          parsePod(value);
        } catch (error) {
          expect(error).toMatchObject({ code: "POD_INVALID" });
        }
      }),
    );
  });
});

test("allContainers lists regular containers first", () => {
  const pod = parsePod({
    spec: { initContainers: [{ name: "i" }], containers: [{ name: "a" }, { name: "b" }] },
  });
  expect(allContainers(pod).map(({ name }) => name)).toEqual(["a", "b", "i"]);
});
