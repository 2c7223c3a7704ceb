import { describe, expect, test } from "vitest";
import { findPublishedNode, type MachineDocker, type Pull, pullFailure } from "./engine.ts";
import { wantedRelease } from "./versions.ts";

/** A Docker that has some images, or no daemon or network. */
function fakeDocker(
  has: readonly string[],
  missing: Pull = "absent",
  answers = true,
): MachineDocker & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    answers: async () => answers,
    pull: async (image) => {
      asked.push(image);
      return has.includes(image) ? "there" : missing;
    },
  };
}

const anyRelease = wantedRelease({});
const chosen = wantedRelease({ KUBERNETES_VERSION: "1.35.4" });

describe("kind's own node image", () => {
  test("is used where a daemon has it or can pull it", async () => {
    const image = `kindest/node:v${anyRelease.version}`;
    expect(await findPublishedNode(anyRelease, fakeDocker([image]))).toBe(image);
  });

  test("is the newest published patch of the default's minor version", async () => {
    const docker = fakeDocker(["kindest/node:v1.36.1", "kindest/node:v1.36.0"]);
    expect(await findPublishedNode(anyRelease, docker)).toBe("kindest/node:v1.36.1");
  });

  test("is never another release than the one that was asked for", async () => {
    const docker = fakeDocker(["kindest/node:v1.35.1"]);
    expect(await findPublishedNode(chosen, docker)).toBeUndefined();
    expect(docker.asked).toEqual(["kindest/node:v1.35.4"]);
  });

  test("is not looked for without a daemon", async () => {
    const docker = fakeDocker([`kindest/node:v${anyRelease.version}`], "absent", false);
    expect(await findPublishedNode(anyRelease, docker)).toBeUndefined();
    expect(docker.asked).toEqual([]);
  });

  test("is asked for once where the registry cannot be reached", async () => {
    const docker = fakeDocker([], "failed");
    expect(await findPublishedNode(anyRelease, docker)).toBeUndefined();
    expect(docker.asked).toHaveLength(1);
  });
});

test.each<[Pull, string]>([
  [
    "absent",
    "Error response from daemon: manifest for kindest/node:v1.36.9 not found: manifest unknown: manifest unknown",
  ],
  [
    "absent",
    "failed to resolve reference docker.io/kindest/node:v1.36.9: docker.io/kindest/node:v1.36.9: not found",
  ],
  [
    "failed",
    "Error response from daemon: Get https://docker.example/v2/: dial tcp: lookup docker.example: no such host",
  ],
  ["failed", "Error response from daemon: toomanyrequests: You have reached your pull rate limit"],
])("a pull that ends %s: %s", (expected, message) => {
  expect(pullFailure(message)).toBe(expected);
});
