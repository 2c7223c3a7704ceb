import { describe, expect, test } from "vitest";

import type { PathType } from "../../src/nix/closure.ts";
import type { StorePath } from "../../src/nix/store-path.ts";
import { chooseStoreImages, parsePlanChoice, type PlanChoice } from "../../src/push/plan-choice.ts";
import { failureOf } from "../nix/failure.ts";
import { cacheFiles, chain, pathOf } from "../resolver/fake-store.ts";
import { resolverOf } from "../resolver/fixture.ts";
import { cacheDirectory } from "../image/images-fixture.ts";

/** A chain of so many paths; every path is a directory but those whose number is in `files`. */
async function closureOf(length: number, files: readonly number[] = [], roots = [pathOf("link-0")]) {
  const paths = chain(length);
  const resolver = resolverOf(await cacheDirectory(cacheFiles(paths)));
  const resolved = await resolver.resolve("main", roots);
  // So large that each is worth an image.
  const large = resolved.paths.map((info) => ({ ...info, narSize: 2 ** 22 }));
  const closure = { ...resolved, paths: large, byPath: new Map(large.map((info) => [info.storePath, info])) };
  const isFile = new Set(files.map((number) => pathOf(`link-${number}`)));
  const types = new Map<StorePath, PathType>(
    closure.paths.map(({ storePath }) => [storePath, isFile.has(storePath) ? "regular" : "directory"]),
  );
  return { closure, types };
}

async function sizes(
  choices: readonly PlanChoice[],
  length: number,
  files?: readonly number[],
  maxVolumes = 48,
) {
  return chooseStoreImages(await closureOf(length, files), choices, maxVolumes).map((own) => own.size);
}

describe("store images", () => {
  test("of a closure that fits any kubelet: none", async () => {
    expect(await sizes(["stock", "tuned", "per-path"], 8)).toEqual([]);
  });

  test("of a larger one: beside seven paths, as a stock kubelet pulls eight images for a Pod", async () => {
    expect(await sizes(["stock", "tuned"], 20)).toEqual([7]);
  });

  test("of one that even maxVolumes does not hold: two", async () => {
    expect(await sizes(["stock", "tuned"], 60)).toEqual([7, 47]);
    expect(await sizes(["tuned"], 60, [], 10)).toEqual([9]);
  });

  test("for files, whatever the plan; the same one only once", async () => {
    expect(await sizes(["stock", "tuned", "per-path"], 4, [2, 3])).toEqual([2]);
  });

  test("of several roots: beside all of them, for each can be the profile of a container", async () => {
    const known = await closureOf(20, [], [pathOf("link-0"), pathOf("link-7")]);
    const [own] = chooseStoreImages(known, ["bundle"], 48);
    expect([...own!].toSorted()).toEqual([pathOf("link-0"), pathOf("link-7")].toSorted());
  });

  test("of a bundle: beside the root", async () => {
    const known = await closureOf(5);
    const [own, ...others] = chooseStoreImages(known, ["bundle"], 48);
    expect([...own!]).toEqual([pathOf("link-0")]);
    expect(others).toEqual([]);
    expect(await sizes(["bundle"], 5, [0]), "a file is no profile").toEqual([0]);
  });

  test("for so many images", async () => {
    expect(await sizes([1, 5, 12, 30], 20)).toEqual([1, 4, 11]);
  });
});

test("--plan takes names and numbers", () => {
  const words = ["stock", "tuned", "per-path", "bundle", "1", "200"];
  expect(words.map(parsePlanChoice)).toEqual(["stock", "tuned", "per-path", "bundle", 1, 200]);
  for (const wrong of ["", "0", "201", "-1", "1.5", "1e2", "auto", "packed", "STOCK"]) {
    expect(failureOf(() => parsePlanChoice(wrong)).code).toBe("PUSH_OPTION_INVALID");
  }
});
