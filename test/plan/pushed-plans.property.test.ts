/** What holds of every plan of a Pod's closures of which some were pushed, whatever they were pushed with. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { StorePath } from "../../src/nix/store-path.ts";
import { planClosures, typesNeeded, type Plan } from "../../src/plan/plan.ts";
import { choicesFor, countImages, pushedChoices } from "../../src/plan/pushed-choices.ts";
import { warnOfLargePlans } from "../../src/plan/pushed-plan-warning.ts";
import { podsWithPushed, rules } from "./arbitrary-closures.ts";

const imagesOf = (plans: readonly Plan[]): number =>
  new Set(plans.flatMap(({ volumes }) => volumes.map(({ reference }) => reference))).size;

test("a pushed closure has images of its repository alone, which carry all of it where they are mounted", () => {
  fc.assert(
    fc.property(podsWithPushed, rules, (closures, asked) => {
      for (const [at, { closure, volumes }] of planClosures(closures, asked).entries()) {
        const { pushed, profileRoots } = closures[at]!;
        if (pushed === undefined) {
          for (const { reference } of volumes) expect(reference).toMatch(/^localhost:5417\//);
          continue;
        }
        const mounted = new Map(volumes.map((volume) => [volume.mountPath, volume]));
        expect(mounted.size).toBe(volumes.length);
        const store = mounted.get("/nix/store");
        const image = pushed.storeImages.find(
          ({ digest }) => store?.reference === `${pushed.repository}@${digest}`,
        );
        expect(image === undefined).toBe(store === undefined);
        for (const { storePath } of closure.paths) {
          const own = mounted.get(storePath);
          if (own !== undefined)
            expect(own.reference).toBe(`${pushed.repository}@${pushed.paths.get(storePath)}`);
          // What has no volume is in the store image, and what that leaves out has one.
          if (image === undefined || image.own.has(storePath)) expect(own).toBeDefined();
          expect(store?.storePaths.includes(storePath) ?? false).toBe(image?.own.has(storePath) === false);
        }
        for (const root of profileRoots) expect(mounted.has(root)).toBe(pushed.paths.has(root));
      }
    }),
  );
});

test("no type is asked for of a pushed closure", () => {
  fc.assert(
    fc.property(podsWithPushed, rules, (closures, asked) => {
      const needed = typesNeeded(closures, asked);
      for (const [at, { pushed }] of closures.entries())
        if (pushed !== undefined) expect(needed[at]).toEqual([]);
    }),
  );
});

test("auto and packed keep to the number of images, unless every pushed closure has as few as it can", () => {
  fc.assert(
    fc.property(podsWithPushed, rules, (closures, asked) => {
      if (asked.strategy === "per-path" || asked.strategy === "bundle") return;
      const plans = planClosures(closures, asked);
      if (imagesOf(plans) <= asked.maxImages) return;
      for (const [at, { closure, volumes }] of plans.entries()) {
        const { pushed, profileRoots } = closures[at]!;
        if (pushed === undefined) continue;
        expect(volumes.length).toBe(countImages(pushedChoices({ closure, pushed, profileRoots })[0]!));
      }
    }),
  );
});

test("a pushed closure alone has the most images that fit", () => {
  fc.assert(
    fc.property(podsWithPushed, rules, (closures, asked) => {
      for (const one of closures) {
        const { closure, pushed, profileRoots } = one;
        if (pushed === undefined || asked.strategy === "per-path" || asked.strategy === "bundle") continue;
        const [plan] = planClosures([one], asked);
        const numbers = choicesFor({ closure, pushed, profileRoots }, "auto").map(countImages);
        const fitting = numbers.filter((number) => number <= asked.maxImages);
        expect(plan!.volumes.length).toBe(fitting.at(-1) ?? numbers[0]);
      }
    }),
  );
});

test("closures beside a pushed one get volumes of their own while there is room", () => {
  fc.assert(
    fc.property(podsWithPushed, rules, (closures, asked) => {
      const plans = planClosures(closures, { ...asked, strategy: "auto", maxImages: 200 });
      const paths = new Set<StorePath>(
        closures.flatMap(({ closure }) => closure.paths.map(({ storePath }) => storePath)),
      );
      if (paths.size * closures.length > 200) return;
      expect(plans.map(({ strategy }) => strategy)).toEqual(closures.map(() => "per-path"));
    }),
  );
});

test("a warning is given only where there are too many images, one a closure at most, and it fits into an answer", () => {
  fc.assert(
    fc.property(podsWithPushed, rules, (closures, asked) => {
      const plans = planClosures(closures, asked);
      const planned = closures.map((one, at) => ({ ...one, plan: plans[at]! }));
      const warnings = warnOfLargePlans(planned, asked);
      expect(warnings.length).toBeLessThanOrEqual(
        closures.filter(({ pushed }) => pushed !== undefined).length,
      );
      for (const warning of warnings) expect(`nix-closure: ${warning}`.length).toBeLessThanOrEqual(256);
      if (imagesOf(plans) <= asked.maxImages) expect(warnings).toEqual([]);
    }),
  );
});
