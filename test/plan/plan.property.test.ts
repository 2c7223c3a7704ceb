/** What holds of every plan of a Pod's closures, whatever their graphs, types and the number of images. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { StorePath } from "../../src/nix/store-path.ts";
import { closureCheck, decodeDecision } from "../../src/plan/decision.ts";
import { parseImageName } from "../../src/plan/image-name.ts";
import {
  planClosures,
  typesNeeded,
  type KnownClosure,
  type Plan,
  type PlanRules,
} from "../../src/plan/plan.ts";
import { host, pods, podsWithPushed, rules } from "./arbitrary-closures.ts";

const referencesOf = (plans: readonly Plan[]): ReadonlySet<string> =>
  new Set(plans.flatMap(({ volumes }) => volumes.map(({ reference }) => reference)));

/** The paths that are no store image's. */
function ownOf({ volumes }: Plan): ReadonlySet<StorePath> {
  return new Set(
    volumes.filter(({ image }) => image.kind === "path").flatMap(({ storePaths }) => storePaths),
  );
}

/** A closure of which nothing is known but what a plan asks for. */
function knowingOnly(closures: readonly KnownClosure[], asked: PlanRules): readonly KnownClosure[] {
  const needed = typesNeeded(closures, asked);
  return closures.map((one, at) => ({
    ...one,
    types: new Map(needed[at]!.map((path) => [path, one.types.get(path)!])),
  }));
}

test("every path is carried exactly once, and only directories have volumes of their own", () => {
  fc.assert(
    fc.property(pods, rules, (closures, asked) => {
      const plans = planClosures(closures, asked);
      expect(plans).toHaveLength(closures.length);
      for (const [at, plan] of plans.entries()) {
        const { closure, types } = closures[at]!;
        expect(plan.closure).toBe(closure);
        const carried = plan.volumes.flatMap(({ storePaths }) => storePaths);
        expect(carried.toSorted()).toEqual(closure.paths.map(({ storePath }) => storePath));
        for (const path of ownOf(plan)) expect(types.get(path)).toBe("directory");
        for (const { storePaths } of plan.volumes) expect(storePaths.length).toBeGreaterThan(0);
      }
    }),
  );
});

test("a store image's name says which paths have volumes of their own", () => {
  fc.assert(
    fc.property(pods, rules, (closures, asked) => {
      for (const [at, plan] of planClosures(closures, asked).entries()) {
        const [store] = plan.volumes;
        if (store?.image.kind !== "store") continue;
        const { closure, types } = closures[at]!;
        const [repository, tag] = store.reference.slice(host.length + 1).split(":");
        const name = parseImageName(repository!, tag!);
        expect(name).toEqual(store.image);
        expect(decodeDecision(store.image.decision, closure, types)).toEqual(ownOf(plan));
        expect(closureCheck(1, closure, store.image.decision)).toBe(store.image.check);
      }
    }),
  );
});

test("auto and packed keep to the number of images, but for what each closure must have", () => {
  fc.assert(
    fc.property(pods, rules, (closures, asked) => {
      if (asked.strategy === "per-path" || asked.strategy === "bundle") return;
      const plans = planClosures(closures, asked);
      const least = planClosures(closures, { ...asked, strategy: "bundle" });
      const images = referencesOf(plans).size;
      expect(images).toBeLessThanOrEqual(
        Math.max(asked.maxImages, referencesOf(least).size, closures.length),
      );
      const perPath = planClosures(closures, { ...asked, strategy: "per-path" });
      if (asked.strategy !== "auto") return;
      if (referencesOf(perPath).size > asked.maxImages) expect(plans[0]!.strategy).toBe("packed");
      if (plans[0]!.strategy === "per-path") expect(plans).toEqual(perPath);
    }),
  );
});

test("profiles have volumes of their own, and nothing smaller is taken where a larger directory had to stay", () => {
  fc.assert(
    fc.property(pods, rules, ([first], asked) => {
      const { closure, types, profileRoots } = first!;
      const [plan] = planClosures([first!], { ...asked, strategy: "packed" });
      const own = ownOf(plan!);
      for (const root of profileRoots) expect(own.has(root)).toBe(types.get(root) === "directory");
      const roots = new Set(closure.roots);
      // With few files among the largest paths, which are those that types are asked for of.
      const asksFor = new Set(typesNeeded([first!], { ...asked, strategy: "packed" })[0]);
      const left = closure.paths.filter(
        ({ storePath }) =>
          asksFor.has(storePath) && types.get(storePath) === "directory" && !own.has(storePath),
      );
      const taken = closure.paths.filter(({ storePath }) => own.has(storePath) && !roots.has(storePath));
      const largestLeft = Math.max(-1, ...left.map(({ narSize }) => narSize));
      for (const { narSize } of taken) expect(narSize).toBeGreaterThanOrEqual(largestLeft);
    }),
  );
});

describe.each([
  ["of our registry", pods],
  ["of which some were pushed", podsWithPushed],
])("closures %s", (_, someClosures) => {
  test("a plan depends on nothing but the types that it asks for", () => {
    fc.assert(
      fc.property(someClosures, rules, (closures, asked) => {
        expect(planClosures(knowingOnly(closures, asked), asked)).toEqual(planClosures(closures, asked));
      }),
    );
  });

  test("a plan does not depend on the order of closures, nor on that of references", () => {
    fc.assert(
      fc.property(someClosures, rules, (closures, asked) => {
        const volumesOf = (plans: readonly Plan[]): readonly unknown[] => plans.map(({ volumes }) => volumes);
        const plans = planClosures(closures, asked);
        expect(planClosures(closures.toReversed(), asked)).toEqual(plans.toReversed());
        const turned = closures.map((one) => {
          const paths = one.closure.paths.map((info) => ({
            ...info,
            references: info.references.toReversed(),
          }));
          const byPath = new Map(paths.toReversed().map((info) => [info.storePath, info]));
          return { ...one, closure: { ...one.closure, paths, byPath } };
        });
        expect(volumesOf(planClosures(turned, asked))).toEqual(volumesOf(plans));
      }),
    );
  });
});
