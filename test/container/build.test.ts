import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { buildArguments, builderTrouble } from "../../container/build.ts";

describe("docker build", () => {
  test("uses the Containerfile's own base unless another is named", () => {
    const args = buildArguments({ tag: "x:1", builder: "docker", shown: true });
    expect(args).not.toContain("--build-arg");
    expect(args.slice(0, 3)).toEqual(["build", "--tag", "x:1"]);
    expect(existsSync(args[args.indexOf("--file") + 1] ?? "")).toBe(true);
    expect(buildArguments({ tag: "x:1", builder: "docker", base: "mine:2" })).toContain("BASE=mine:2");
  });

  test("has labels", () => {
    const args = buildArguments({ tag: "x:1", builder: "podman", labels: { "a.b/c": "d" } });
    expect(args.slice(-2)).toEqual(["--label", "a.b/c=d"]);
  });
});

describe("a builder that cannot be used is reported in words", () => {
  test.each([
    ["is missing", "ENOENT", "", "docker is not installed; install it, or pass --builder podman"],
    [
      "does not answer",
      undefined,
      "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n",
      "docker's daemon does not answer: Cannot connect to the Docker daemon",
    ],
    [
      "is not allowed",
      undefined,
      "permission denied while trying to connect to the Docker daemon socket",
      "docker may not be used by this user: permission denied",
    ],
    [
      "fails otherwise",
      undefined,
      "context mine: not found",
      "docker cannot be used: context mine: not found",
    ],
  ])("it %s", (_what, code, stderr, expected) => {
    expect(builderTrouble("docker", code, stderr)).toContain(expected);
  });
});
