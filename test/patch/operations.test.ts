import type { Operation } from "fast-json-patch";
import { describe, expect, test } from "vitest";
import { podOperations } from "../../src/patch/operations.ts";
import type { Container, Pod, Volume } from "../../src/patch/pod.ts";

const user: Volume = { name: "data", emptyDir: {} };
const second: Volume = { name: "config", configMap: {} };
const volume = (name: string, version = 1): Volume => ({ name, image: { reference: `x:${version}` } });

function podWith(volumes: readonly Volume[] | undefined, container: Partial<Container> = {}): Pod {
  return {
    metadata: {},
    spec: { containers: [{ name: "app", ...container }], ...(volumes === undefined ? {} : { volumes }) },
  };
}

const a = volume("a");
const b = volume("b");
const a2 = volume("a", 2);

describe("a list", () => {
  test.for<[what: string, before: readonly Volume[] | undefined, after: readonly Volume[], Operation[]]>([
    ["that stays", [user, a], [user, a], []],
    [
      "that is missing is added whole",
      undefined,
      [a, b],
      [{ op: "add", path: "/spec/volumes", value: [a, b] }],
    ],
    [
      "gets new entries at its end, one by one",
      [user],
      [user, a, b],
      [
        { op: "add", path: "/spec/volumes/-", value: a },
        { op: "add", path: "/spec/volumes/-", value: b },
      ],
    ],
    [
      "loses entries from its end to its start",
      [a, user, b, second],
      [user, second],
      [
        { op: "remove", path: "/spec/volumes/2" },
        { op: "remove", path: "/spec/volumes/0" },
      ],
    ],
    [
      "replaces in place what keeps its name and has nothing behind it that stays",
      [user, a],
      [user, a2],
      [{ op: "replace", path: "/spec/volumes/1", value: a2 }],
    ],
    [
      "takes out what gets another name",
      [user, a],
      [user, b],
      [
        { op: "remove", path: "/spec/volumes/1" },
        { op: "add", path: "/spec/volumes/-", value: b },
      ],
    ],
    [
      "keeps the user's entries in their order around what leaves and comes",
      [a, user, second],
      [user, second, a2],
      [
        { op: "remove", path: "/spec/volumes/0" },
        { op: "add", path: "/spec/volumes/-", value: a2 },
      ],
    ],
  ])("%s", ([, before, after, expected]) => {
    expect(podOperations(podWith(before), podWith(after))).toEqual(expected);
  });
});

test("of a variable only the value changes", () => {
  const home = { name: "HOME", value: "/" };
  const before = podWith(undefined, { env: [home, { name: "PATH", value: "/bin" }] });
  const after = podWith(undefined, { env: [home, { name: "PATH", value: "/app/bin:/bin" }] });
  expect(podOperations(before, after)).toEqual([
    { op: "add", path: "/spec/containers/0/env/1/value", value: "/app/bin:/bin" },
  ]);
});

test("a Pod that is the same object needs no look", () => {
  const pod = podWith([a]);
  expect(podOperations(pod, pod)).toEqual([]);
});
