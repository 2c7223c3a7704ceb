import fc from "fast-check";
import type { PushedImages } from "../../src/closure-index/pushed-images.ts";
import type { Closure, PathType } from "../../src/nix/closure.ts";
import { reachable } from "../../src/plan/graph.ts";
import { strategies, type KnownClosure, type PlanRules } from "../../src/plan/plan.ts";
import { madeClosure, MiB, type MadePath } from "../patch/closures.ts";
import { pushClosure } from "./pushed-closures.ts";

export const host = "localhost:5417";

/** Paths of one package collection, each of which needs some of those before it. */
const collection: fc.Arbitrary<readonly MadePath[]> = fc
  .array(
    fc.record({
      type: fc.oneof(
        { weight: 4, arbitrary: fc.constant<PathType>("directory") },
        { weight: 1, arbitrary: fc.constantFrom<PathType>("regular", "symlink") },
      ),
      narSize: fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 16 * MiB })),
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

/** The closures of a Pod, whose images our registry makes. */
export const pods: fc.Arbitrary<readonly KnownClosure[]> = fc
  .tuple(collection, wanted)
  .map(([paths, asked]) => closuresOf(paths, asked));

export const rules: fc.Arbitrary<PlanRules> = fc.record({
  strategy: fc.constantFrom(...strategies),
  maxImages: fc.oneof(fc.nat({ max: 12 }), fc.constantFrom(48, 200)),
  host: fc.constant(host),
  maxImageBytes: fc.constant(Infinity),
});

/** A closure that was pushed. */
export type PushedKnownClosure = KnownClosure & { readonly pushed: PushedImages };

/** The closures of a Pod, of which some were pushed, each with the plans that all strategies can come to, and more. */
export const podsWithPushed: fc.Arbitrary<readonly KnownClosure[]> = fc
  .tuple(
    pods,
    fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
    fc.uniqueArray(fc.integer({ min: 1, max: 20 }), { maxLength: 4 }),
    fc.boolean(),
  )
  .map(([closures, pushed, numbers, otherProfile]) =>
    closures.map((one, at) => {
      if (pushed[at] !== true) return one;
      // Which of the roots a Pod has as its profile, nobody knows who pushes them.
      const profileRoots = new Set(otherProfile ? one.closure.roots.slice(-1) : one.profileRoots);
      const plans = ["per-path", "bundle", ...numbers] as const;
      return {
        ...one,
        pushed: pushClosure({ ...one, profileRoots }, `registry.example.com/${one.source}`, plans),
      };
    }),
  );
