import { describe, expect, test } from "vitest";
import type { Closure, PathType } from "../../src/nix/closure.ts";
import { storePathName, type StorePath } from "../../src/nix/store-path.ts";
import {
  planClosures,
  typesNeeded,
  type KnownClosure,
  type Plan,
  type PlanRules,
  type Strategy,
} from "../../src/plan/plan.ts";
import { failureOf } from "../nix/failure.ts";
import { madeClosure, MiB, type MadePath } from "../patch/closures.ts";

/** Hashes ascend in this order. */
const paths: readonly MadePath[] = [
  { name: "conf", type: "regular", narSize: 1 * MiB },
  { name: "libc", narSize: 10 * MiB },
  { name: "tool", narSize: 100 * MiB, references: ["libc", "conf"] },
  { name: "link", type: "symlink", narSize: 1000 * MiB, references: ["tool"] },
  { name: "app", narSize: 10_000 * MiB, references: ["tool", "link"] },
];

function plan(
  roots: readonly string[],
  strategy: Strategy,
  options: Partial<KnownClosure & PlanRules> = {},
): Plan {
  const { closure, types } = madeClosure(options.closure ? [] : roots, paths);
  const known = { source: "demo", closure, types, profileRoots: new Set(closure.roots.slice(0, 1)) };
  const rules = { strategy, maxImages: 8, host: "localhost:5417", maxImageBytes: 1e6 * MiB };
  const plans = planClosures([{ ...known, ...options }], { ...rules, ...options });
  expect(plans).toHaveLength(1);
  return plans[0]!;
}

const names = (list: readonly StorePath[]): readonly string[] => list.map(storePathName);

function show({ volumes }: Plan): readonly (readonly [string, readonly string[], number])[] {
  return volumes.map(({ mountPath, storePaths, narSize }) => [
    mountPath === "/nix/store" ? mountPath : storePathName(mountPath as StorePath),
    names(storePaths),
    narSize / MiB,
  ]);
}

describe("planClosures", () => {
  test("per-path gives each directory a volume: store image first, then roots, then the rest by hash", () => {
    const perPath = plan(["app"], "per-path");
    expect(show(perPath)).toEqual([
      ["/nix/store", ["conf", "link"], 1001],
      ["app", ["app"], 10_000],
      ["libc", ["libc"], 10],
      ["tool", ["tool"], 100],
    ]);
    expect(perPath.strategy).toBe("per-path");
    expect(perPath.volumes[0]).toMatchObject({ image: { kind: "store", decision: "a", version: 1 } });
  });

  test("roots come in the order that they were asked for, and once", () => {
    expect(show(plan(["libc", "app", "libc"], "per-path")).map(([name]) => name)).toEqual([
      "/nix/store",
      "libc",
      "app",
      "tool",
    ]);
  });

  test("auto is per-path as long as its images are few enough, else packed", () => {
    for (const maxImages of [5, 48, Infinity])
      expect(plan(["app"], "auto", { maxImages })).toEqual(plan(["app"], "per-path"));
    const packed = plan(["app"], "auto", { maxImages: 3 });
    expect(packed).toEqual(plan(["app"], "packed", { maxImages: 3 }));
    expect([packed.strategy, packed.volumes.length]).toEqual(["packed", 3]);
  });

  test("packed gives the profile a volume, then the largest directories, and puts the rest into the store image", () => {
    const packed = plan(["app"], "packed", { maxImages: 3 });
    expect(show(packed)).toEqual([
      ["/nix/store", ["conf", "libc", "link"], 1011],
      ["app", ["app"], 10_000],
      ["tool", ["tool"], 100],
    ]);
    expect(packed.volumes[0]).toMatchObject({ image: { kind: "store", decision: "o0204" } });
    expect(show(plan(["app"], "packed", { maxImages: 0 }))).toEqual(show(plan(["app"], "bundle")));
  });

  test("bundle puts everything but profiles into the store image", () => {
    expect(show(plan(["app"], "bundle"))).toEqual([
      ["/nix/store", ["conf", "libc", "tool", "link"], 1111],
      ["app", ["app"], 10_000],
    ]);
    expect(show(plan(["app"], "bundle", { profileRoots: new Set() }))).toEqual([
      ["/nix/store", ["conf", "libc", "tool", "link", "app"], 11_111],
    ]);
  });

  test("a profile that is a file stays in the store image", () => {
    const { closure, types } = madeClosure(["link"], paths.slice(0, 4));
    const profileRoots = new Set(closure.roots);
    const volumesOf = (strategy: Strategy): readonly string[] =>
      show(plan([], strategy, { closure, types, profileRoots })).map(([name]) => name);
    expect(volumesOf("bundle")).toEqual(["/nix/store"]);
    expect(volumesOf("per-path")).toEqual(["/nix/store", "libc", "tool"]);
  });

  test("without files there is no store image", () => {
    const { closure, types } = madeClosure(["a"], [{ name: "a", references: ["b"] }, { name: "b" }]);
    for (const strategy of ["per-path", "packed", "bundle"] as const) {
      const profileRoots = new Set(strategy === "bundle" ? closure.paths.map((info) => info.storePath) : []);
      const { volumes } = plan([], strategy, { closure, types, profileRoots });
      expect(volumes.map((volume) => volume.image.kind)).toEqual(["path", "path"]);
    }
  });

  test("a path whose type is not known is not taken for a directory", () => {
    const { closure, types } = madeClosure(["app"], paths);
    const unknown = new Map([...types].filter(([path]) => storePathName(path) !== "libc"));
    const { volumes } = plan(["app"], "per-path", { closure, types: unknown });
    expect(names(volumes[0]!.storePaths)).toEqual(["conf", "libc", "link"]);
    // `a` would speak of libc too, were it a directory.
    expect(volumes[0]).toMatchObject({ image: { decision: "o0204" } });
  });

  test("names and references are those of the images", () => {
    const hash = (i: number): string => String(i).padStart(32, "0");
    const { volumes } = plan(["app", "libc"], "per-path");
    expect(volumes.map(({ name, reference }) => [name, reference])).toEqual([
      [
        expect.stringMatching(/^nix-store-[0-9a-f]{16}$/),
        expect.stringMatching(new RegExp(`^localhost:5417/demo/closure/${hash(4)}:1-a-[0-9a-f]{16}$`)),
      ],
      ...[4, 1, 2].map((i) => [`nix-${hash(i)}`, `localhost:5417/demo/path/${hash(i)}:1`]),
    ]);
  });
});

describe("typesNeeded", () => {
  const all = ["conf", "libc", "tool", "link", "app"];
  const few = Array.from({ length: 30 }, (_, i) => ({ name: `p${i}`, narSize: (i + 4) * MiB }));
  const root = { name: "root", references: few.map(({ name }) => name) };

  test.for<[Strategy, number, readonly string[]]>([
    ["bundle", 3, ["app"]],
    ["per-path", 3, all],
    ["auto", 5, all],
    ["packed", 3, ["app", "link", "tool", "libc"]],
  ])("%s with %i images: %j", ([strategy, maxImages, expected]) => {
    const { closure } = madeClosure(["app"], paths);
    const wanted = { source: "demo", closure, profileRoots: new Set<StorePath>() };
    expect(typesNeeded([wanted], { strategy, maxImages }).map(names)).toEqual([expected]);
  });

  test.for(["auto", "packed"] as const)("%s asks for a few more than may get volumes", (strategy) => {
    const { closure } = madeClosure(["root"], [...few, root]);
    const wanted = { source: "demo", closure, profileRoots: new Set<StorePath>() };
    const expected = [
      "root",
      ...few
        .slice(-9)
        .map(({ name }) => name)
        .toReversed(),
    ];
    expect(typesNeeded([wanted], { strategy, maxImages: 5 }).map(names)).toEqual([expected]);
  });
});

describe("limits", () => {
  function independent(count: number): {
    readonly closure: Closure;
    readonly types: ReadonlyMap<StorePath, PathType>;
  } {
    const many = Array.from({ length: count }, (_, i) => ({ name: `r${i}` }));
    return madeClosure(
      many.map(({ name }) => name),
      many,
    );
  }

  test("six roots fit, seven do not", () => {
    expect(plan([], "bundle", { ...independent(6), profileRoots: new Set() }).volumes).toHaveLength(1);
    const error = failureOf(() => plan([], "bundle", independent(7)));
    expect([error.code, error.message]).toEqual([
      "TOO_MANY_ROOTS",
      "7 roots do not fit into one image name, at most 6 do; combine them with symlinkJoin or buildEnv",
    ]);
  });

  test("roots that another root needs do not count", () => {
    const chain = Array.from({ length: 20 }, (_, i) => ({
      name: `r${i}`,
      references: i > 0 ? [`r${i - 1}`] : [],
    }));
    const made = madeClosure(
      chain.map(({ name }) => name),
      chain,
    );
    const { volumes } = plan([], "bundle", { ...made, profileRoots: new Set() });
    expect(volumes[0]).toMatchObject({ image: { roots: ["00000000000000000000000000000019"] } });
  });

  test("a long host leaves room for fewer roots", () => {
    const host = `${"x".repeat(60)}.${"x".repeat(60)}.example.com`;
    expect(failureOf(() => plan([], "bundle", { ...independent(4), host })).message).toContain(
      "at most 3 do",
    );
  });

  test.for<[Strategy, number, string]>([
    ["per-path", 9999, "the image of /nix/store/00000000000000000000000000000004-app has 9.8 GiB"],
    ["bundle", 1110, "the image of the closure of 00000000000000000000000000000004-app has 1.1 GiB"],
    ["packed", 1010, "the image of the closure of 00000000000000000000000000000004-app has 1011.0 MiB"],
  ])("%s: an image above %i MiB is refused", ([strategy, most, message]) => {
    const error = failureOf(() => plan(["app"], strategy, { maxImageBytes: most * MiB, maxImages: 3 }));
    expect(error.code).toBe("IMAGE_TOO_LARGE");
    expect(error.message).toContain(message);
    expect(error.message.endsWith("or use strategy per-path")).toBe(strategy !== "per-path");
  });

  test("an image of just the limit is not", () => {
    expect(plan(["app"], "per-path", { maxImageBytes: 10_000 * MiB }).volumes).toHaveLength(4);
  });
});
