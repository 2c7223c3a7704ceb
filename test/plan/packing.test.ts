import { describe, expect, test } from "vitest";
import { storePathName, type StorePath } from "../../src/nix/store-path.ts";
import { packClosures, packingCandidates, type TypedClosure } from "../../src/plan/packing.ts";
import { madeClosure, MiB, type MadePath } from "../patch/closures.ts";

/** Hashes ascend in this order; all closures of a test are made of the same paths. */
const base: readonly MadePath[] = [
  { name: "libc", narSize: 30 * MiB },
  { name: "python", narSize: 100 * MiB, references: ["libc"] },
  { name: "script", narSize: 1000 * MiB, type: "regular", references: ["python"] },
  { name: "lib", narSize: 5 * MiB, references: ["libc"] },
];

function closureOf(roots: readonly MadePath[], more: Partial<TypedClosure> = {}, paths = base): TypedClosure {
  const names = roots.map(({ name }) => name);
  const { closure, types } = madeClosure(names, [...paths, ...roots]);
  return { source: "demo", closure, types, profileRoots: new Set(closure.roots.slice(0, 1)), ...more };
}

function pack(closures: readonly TypedClosure[], maxImages: number): readonly (readonly string[])[] {
  return packClosures(closures, maxImages).map((own) => [...own].map(storePathName));
}

const everything = base.map(({ name }) => name);

describe("packing", () => {
  test("takes the profile, other roots, and then the largest directories", () => {
    const roots = [{ name: "app" }, { name: "tool", narSize: 1, references: everything }];
    const closure = closureOf(roots);
    expect(pack([closure], 3)).toEqual([["app", "tool"]]);
    expect(pack([closure], 4)).toEqual([["app", "tool", "python"]]);
    expect(pack([closure], 5)).toEqual([["app", "tool", "python", "libc"]]);
  });

  test("leaves out what is no directory, and takes the next one", () => {
    const closure = closureOf([{ name: "app", references: everything }]);
    expect(pack([closure], 3)).toEqual([["app", "python"]]);
    const unknown = new Map([...closure.types].filter(([path]) => storePathName(path) !== "python"));
    expect(pack([{ ...closure, types: unknown }], 3)).toEqual([["app", "libc"]]);
  });

  test("leaves paths that are not worth an image in the store image, unless they are roots", () => {
    const paths = [
      { name: "small", narSize: 4 * MiB - 1 },
      { name: "enough", narSize: 4 * MiB },
    ];
    const roots = [
      { name: "app", narSize: 1 },
      { name: "tool", narSize: 1, references: ["small", "enough"] },
    ];
    expect(pack([closureOf(roots, {}, paths)], 48)).toEqual([["app", "tool", "enough"]]);
  });

  test("gives a small path the image that it has anyway, as the profile of another closure", () => {
    const paths = [{ name: "small", narSize: 1 }];
    const { closure, types } = madeClosure(["small"], paths);
    const alone = { source: "demo", closure, types, profileRoots: new Set(closure.roots) };
    expect(pack([alone, closureOf([{ name: "app" }], {}, paths)], 0)).toEqual([["small"], ["app", "small"]]);
  });

  test("needs no store image where the last path takes its place", () => {
    const paths = base.filter(({ type }) => type !== "regular");
    const closure = closureOf([{ name: "app" }], {}, paths);
    expect(pack([closure], 4)).toEqual([["app", "python", "libc", "lib"]]);
    expect(pack([closure], 3)).toEqual([["app", "python"]]);
  });

  test("gives a store image and the profile beyond the number, and no more", () => {
    const closure = closureOf([{ name: "app" }]);
    for (const maxImages of [0, 1, 2]) expect(pack([closure], maxImages)).toEqual([["app"]]);
    const none = { ...closure, profileRoots: new Set<StorePath>() };
    expect(pack([none], 1)).toEqual([[]]);
    expect(pack([none], 2)).toEqual([["app"]]);
  });

  test("shares the number out over all closures, and counts what several need once", () => {
    const one = closureOf([{ name: "one", references: everything }]);
    const other = closureOf([{ name: "other", references: everything }]);
    // Two store images and two profiles leave two.
    expect(pack([one, other], 6)).toEqual([
      ["one", "python", "libc"],
      ["other", "python", "libc"],
    ]);
  });

  test("counts paths of one name from two sources twice", () => {
    const one = closureOf([{ name: "app" }]);
    const owns = pack([one, { ...one, source: "other" }], 6);
    expect(owns).toEqual([
      ["app", "python"],
      ["app", "python"],
    ]);
    expect(pack([one, one], 6)).toEqual([
      ["app", "python", "libc", "lib"],
      ["app", "python", "libc", "lib"],
    ]);
  });

  test("takes a path that leaves two closures without a store image, although there is no room", () => {
    const lib: readonly MadePath[] = [{ name: "lib" }];
    const one = closureOf([{ name: "one" }], {}, lib);
    const other = closureOf([{ name: "other" }], {}, lib);
    // Three images instead of four.
    expect(pack([one, other], 0)).toEqual([
      ["one", "lib"],
      ["other", "lib"],
    ]);
  });

  test("lists no more own paths than a tag holds, but for a closure that has one more in all", () => {
    const many = (count: number): TypedClosure =>
      closureOf(
        [{ name: "root" }],
        {},
        Array.from({ length: count - 1 }, (_, i) => ({ name: `p${i}` })),
      );
    expect(packClosures([many(49)], 200).map((own) => own.size)).toEqual([49]);
    expect(packClosures([many(50)], 200).map((own) => own.size)).toEqual([48]);
    expect(packClosures([many(50)], 48).map((own) => own.size)).toEqual([47]);
  });
});

test("candidates of one closure are those of all that hold them", () => {
  const one = closureOf([{ name: "one" }], {}, []);
  const other = closureOf([{ name: "other", references: everything }]);
  const candidates = packingCandidates([one, other], 0).map((paths) => paths.map(storePathName));
  expect(candidates).toEqual([["one"], ["other", "script", "python", "libc", "lib"]]);
});
