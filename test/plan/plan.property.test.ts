/** What holds of every plan of a Pod's closures, whatever their graphs, types and the number of images. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Closure, PathType } from "../../src/nix/closure.ts";
import type { StorePath } from "../../src/nix/store-path.ts";
import { closureCheck, decodeDecision } from "../../src/plan/decision.ts";
import { reachable } from "../../src/plan/graph.ts";
import { parseImageName } from "../../src/plan/image-name.ts";
import {
  planClosures,
  strategies,
  typesNeeded,
  type KnownClosure,
  type Plan,
  type PlanRules,
} from "../../src/plan/plan.ts";
import { madeClosure, type MadePath } from "../patch/closures.ts";

const host = "localhost:5417";

/** Paths of one package collection, each of which needs some of those before it. */
const collection: fc.Arbitrary<readonly MadePath[]> = fc
  .array(
    fc.record({
      type: fc.oneof(
        { weight: 4, arbitrary: fc.constant<PathType>("directory") },
        { weight: 1, arbitrary: fc.constantFrom<PathType>("regular", "symlink") },
      ),
      narSize: fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 1_000_000 })),
      needs: fc.array(fc.nat(), { maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 120 },
  )
  .map((paths) =>
    paths.map(({ needs, ...path }, i) => ({
      name: `p${i}`,
      ...path,
      references: i === 0 ? [] : [...new Set(needs.map((need) => `p${need % i}`))],
    })),
  );

interface Wanted {
  readonly sources: readonly string[];
  readonly roots: readonly (readonly number[])[];
}

const wanted: fc.Arbitrary<Wanted> = fc.record({
  sources: fc.array(fc.constantFrom("demo", "demo", "other"), { minLength: 4, maxLength: 4 }),
  roots: fc.array(fc.array(fc.nat(), { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 4 }),
});

/** Closures of some roots in a collection, as a resolver gives them. */
function closuresOf(paths: readonly MadePath[], { sources, roots }: Wanted): readonly KnownClosure[] {
  const { closure: all, types } = madeClosure(
    paths.map(({ name }) => name),
    paths,
  );
  return roots.map((positions, at) => {
    const rootPaths = positions.map((position) => all.paths[position % paths.length]!.storePath);
    const reached = new Set(rootPaths.flatMap((root) => [...reachable(all, root)]));
    const infos = all.paths.filter(({ storePath }) => reached.has(storePath));
    const closure: Closure = {
      roots: rootPaths,
      paths: infos,
      byPath: new Map(infos.map((info) => [info.storePath, info])),
      narSize: infos.reduce((sum, { narSize }) => sum + narSize, 0),
    };
    return { source: sources[at] ?? "demo", closure, types, profileRoots: new Set(rootPaths.slice(0, 1)) };
  });
}

const pods = fc.tuple(collection, wanted).map(([paths, asked]) => closuresOf(paths, asked));
const rules: fc.Arbitrary<PlanRules> = fc.record({
  strategy: fc.constantFrom(...strategies),
  maxImages: fc.oneof(fc.nat({ max: 12 }), fc.constantFrom(48, 200)),
  host: fc.constant(host),
  maxImageBytes: fc.constant(Infinity),
});

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

test("a plan depends on nothing but the types that it asks for", () => {
  fc.assert(
    fc.property(pods, rules, (closures, asked) => {
      expect(planClosures(knowingOnly(closures, asked), asked)).toEqual(planClosures(closures, asked));
    }),
  );
});

test("a plan does not depend on the order of closures, nor on that of references", () => {
  fc.assert(
    fc.property(pods, rules, (closures, asked) => {
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
