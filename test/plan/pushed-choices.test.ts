import { describe, expect, test } from "vitest";
import { storePathName, type StorePath } from "../../src/nix/store-path.ts";
import {
  planClosures,
  type KnownClosure,
  type Plan,
  type PlanRules,
  type Strategy,
} from "../../src/plan/plan.ts";
import { pushedChoices } from "../../src/plan/pushed-choices.ts";
import { warnOfLargePlans } from "../../src/plan/pushed-plan-warning.ts";
import { failureOf } from "../nix/failure.ts";
import { madeClosure, MiB, type MadePath } from "../patch/closures.ts";
import { pushClosure, type PushedPlan } from "./pushed-closures.ts";

/** Hashes ascend in this order. */
const paths: readonly MadePath[] = [
  { name: "conf", type: "regular", narSize: 1 * MiB },
  { name: "libc", narSize: 10 * MiB },
  { name: "tool", narSize: 100 * MiB, references: ["libc", "conf"] },
  { name: "more", narSize: 1000 * MiB, references: ["tool"] },
  { name: "app", narSize: 10_000 * MiB, references: ["more"] },
];
const repository = "registry.example.com/nix";

/** A closure of some roots as it is pushed; the first one is the profile. */
function pushedClosure(plans: readonly PushedPlan[], roots = ["app"], of = paths): KnownClosure {
  const { closure, types } = madeClosure(roots, of);
  const known = { source: "shop", closure, types, profileRoots: new Set(closure.roots.slice(0, 1)) };
  return { ...known, pushed: pushClosure(known, repository, plans) };
}

function planOf(closures: readonly KnownClosure[], strategy: Strategy, maxImages = 8): readonly Plan[] {
  const rules: PlanRules = { strategy, maxImages, host: "localhost:5417", maxImageBytes: 1000 * MiB };
  return planClosures(closures, rules);
}

const mountsOf = ({ volumes }: Plan): readonly string[] =>
  volumes.map(({ mountPath }) =>
    mountPath === "/nix/store" ? mountPath : storePathName(mountPath as StorePath),
  );

describe("a pushed closure", () => {
  const all = pushedClosure(["bundle", 3, "per-path"]);
  const bundle = ["/nix/store", "app"];
  const perPath = ["/nix/store", "app", "libc", "tool", "more"];

  test.for<[Strategy, number, string, readonly string[]]>([
    ["per-path", 1, "per-path", perPath],
    ["bundle", 8, "bundle", bundle],
    ["auto", 8, "per-path", perPath],
    ["auto", 5, "per-path", perPath],
    ["auto", 4, "packed", ["/nix/store", "app", "more"]],
    ["packed", 4, "packed", ["/nix/store", "app", "more"]],
    ["packed", 8, "packed", perPath],
    ["auto", 2, "packed", bundle],
    ["auto", 0, "packed", bundle],
  ])("with %s and %i images is %s: %j", ([strategy, maxImages, chosen, mounts]) => {
    const [plan] = planOf([all], strategy, maxImages);
    expect([plan!.strategy, mountsOf(plan!)]).toEqual([chosen, mounts]);
    for (const { reference, image } of plan!.volumes) {
      expect(reference).toMatch(/^registry\.example\.com\/nix@sha256:[0-9a-f]{64}$/);
      expect(image.kind).toBe("pushed");
    }
  });

  test("has names for its volumes, and the sizes of what they hold", () => {
    const [plan] = planOf([all], "bundle");
    expect(plan!.volumes.map(({ name, narSize }) => [name, narSize / MiB])).toEqual([
      [`nix-store-${plan!.volumes[0]!.reference.split("@sha256:")[1]!.slice(0, 16)}`, 1111],
      [`nix-${"0".repeat(31)}4`, 10_000],
    ]);
  });

  test.for<[readonly PushedPlan[], Strategy, string]>([
    [["bundle"], "per-path", `with plans of 2 images, .*"--plan per-path" among its plans, or set`],
    [[3, "per-path"], "bundle", `with plans of 3, 5 images, .*"--plan bundle" among its plans, or set`],
    [[], "auto", `with no plan at all, .*"--plan stock" among its plans$`],
  ])("that was pushed with %j is refused with %s", ([plans, strategy, words]) => {
    const error = failureOf(() => planOf([pushedClosure(plans)], strategy));
    expect([error.code, error.status]).toEqual(["PLAN_NOT_PUSHED", 422]);
    expect(error.message).toMatch(new RegExp(`^the closure of 0{31}4-app was pushed ${words}`));
  });

  test("without files needs no store image for per-path", () => {
    const [, ...directories] = paths.map(({ references = [], ...path }) => ({
      ...path,
      references: references.filter((name) => name !== "conf"),
    }));
    const one = pushedClosure(["bundle"], ["app"], directories);
    expect(mountsOf(planOf([one], "per-path")[0]!)).toEqual(["app", "libc", "tool", "more"]);
    expect(mountsOf(planOf([one], "auto", 3)[0]!)).toEqual(["/nix/store", "app"]);
  });

  test("of a single directory is all of it with every strategy", () => {
    const one = pushedClosure([], ["libc"], paths.slice(1, 2));
    for (const strategy of ["auto", "per-path", "packed", "bundle"] as const)
      expect(mountsOf(planOf([one], strategy)[0]!)).toEqual(["libc"]);
  });

  test("has a volume for each profile, whichever root it was pushed for", () => {
    const both = pushedClosure(["bundle"], ["app", "tool"]);
    const other = { ...both, profileRoots: new Set(both.closure.roots.slice(1)) };
    expect(mountsOf(planOf([other], "bundle")[0]!)).toEqual(["/nix/store", "app", "tool"]);
    const [choice] = pushedChoices({ ...other, pushed: other.pushed! });
    expect([...choice!.store!.own].map(storePathName)).toEqual(["app"]);
  });
});

describe("several closures of a Pod", () => {
  const names = Array.from({ length: 9 }, (_, i) => `p${i}`);
  const large = names.map((name, i) => ({
    name,
    narSize: (100 + i) * MiB,
    references: i === 8 ? names.slice(0, 8) : [],
  }));
  const one = pushedClosure(["bundle", 4, 6, "per-path"], ["p8"], large);
  const made: KnownClosure = { ...one, source: "demo", pushed: undefined };

  test("share the images, also where only one was pushed", () => {
    const [pushed, other] = planOf([one, made], "auto", 10);
    expect([pushed!.volumes.length, other!.volumes.length]).toEqual([4, 6]);
    expect(planOf([made, one], "auto", 10).toReversed()).toEqual([pushed, other]);
  });

  test("have what others do not need", () => {
    const small = madeClosure(["p0"], large.slice(0, 1));
    const beside: KnownClosure = { ...made, ...small, profileRoots: new Set(small.closure.roots) };
    const [pushed, other] = planOf([one, beside], "auto", 10);
    expect([pushed!.volumes.length, other!.volumes.length]).toEqual([9, 1]);
    expect([pushed!.strategy, other!.strategy]).toEqual(["per-path", "per-path"]);
  });

  test("count an image of one repository once, and climb in turns", () => {
    const twin = { ...one, source: "twin" };
    const plans = planOf([one, twin], "auto", 10);
    expect(plans.map(({ volumes }) => volumes.length)).toEqual([9, 9]);
    const elsewhere = { ...twin, pushed: { ...one.pushed!, repository: "registry.example.com/other" } };
    expect(planOf([one, elsewhere], "auto", 10).map(({ volumes }) => volumes.length)).toEqual([6, 4]);
  });
});

describe("a warning of large plans", () => {
  const rules = { strategy: "auto", maxImages: 4 } as const;
  function warningsOf(plans: readonly PushedPlan[], asked: { strategy: Strategy; maxImages: number }) {
    const known = pushedClosure(plans);
    return warnOfLargePlans(
      [{ ...known, plan: planOf([known], asked.strategy, asked.maxImages)[0]! }],
      asked,
    );
  }

  test("says how many images there are, and which plan to push", () => {
    expect(warningsOf(["per-path"], rules)).toEqual([
      `every plan that app was pushed with has 5 images or more, and this Pod has room for 4: its start may be slow; push it with "--plan 4" too`,
    ]);
    expect(warningsOf([3], { ...rules, maxImages: 2 })[0]).toMatch(/room for 2: .* "--plan bundle" too$/);
  });

  test("is none where a plan fits, where pushing again would not help, and where a plan was asked for", () => {
    expect(warningsOf([3, "per-path"], rules)).toEqual([]);
    expect(warningsOf(["bundle"], { ...rules, maxImages: 1 })).toEqual([]);
    expect(warningsOf(["per-path"], { ...rules, strategy: "per-path" })).toEqual([]);
    expect(warningsOf(["bundle"], { ...rules, strategy: "bundle", maxImages: 1 })).toEqual([]);
  });
});
