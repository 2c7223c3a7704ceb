import { pushOptionInvalid } from "../errors.ts";
import type { Closure, PathType } from "../nix/closure.ts";
import type { StorePath } from "../nix/store-path.ts";
import { pullBudget } from "../plan/budget.ts";
import { planClosures, type PlanRules } from "../plan/plan.ts";

/**
 * For whom a store image is made: kubelets with their stock settings, those that count no pulls, a strategy, or Pods whose
 * closure may have so many images.
 */
export type PlanChoice = "stock" | "tuned" | "per-path" | "bundle" | number;

/** The same, or a store image that has all paths, which is what a name needs. */
export type StoreImageChoice = PlanChoice | "whole";

/** What is made where nothing else is asked for. */
export const defaultChoices: readonly PlanChoice[] = ["stock", "tuned"];

/** Where the kubelet's configuration says nothing else (KubeletConfiguration v1beta1). */
const stockKubelet = { registryPullQPS: 5, registryBurst: 10 } as const;

/** The image of a container, which is pulled beside those of its closure. */
const otherImages = 1;

/**
 * Reads a value of `--plan`.
 *
 * @throws pushOptionInvalid
 */
export function parsePlanChoice(text: string): PlanChoice {
  if (text === "stock" || text === "tuned" || text === "per-path" || text === "bundle") return text;
  const images = /^[1-9][0-9]{0,2}$/.test(text) ? Number(text) : 0;
  if (images < 1 || images > 200) {
    throw pushOptionInvalid(
      "--plan",
      text,
      "it is no plan; write stock, tuned, per-path, bundle, or a number of images from 1 to 200",
    );
  }
  return images;
}

/** A closure of which everything is known that a plan depends on. */
export interface TypedClosure {
  readonly closure: Closure;
  /** Of all its paths. */
  readonly types: ReadonlyMap<StorePath, PathType>;
}

/**
 * The store images of a closure, each as the paths that have volumes of their own beside it; none for a plan that gives
 * one to every path. Each root may be the profile of a container, so none is in a store image, if it is a directory.
 *
 * @param maxVolumes `plan.maxVolumes` of the configuration.
 * @returns each once, in the order of the choices.
 */
export function chooseStoreImages(
  { closure, types }: TypedClosure,
  choices: readonly StoreImageChoice[],
  maxVolumes: number,
): readonly ReadonlySet<StorePath>[] {
  const profileRoots = new Set(closure.roots);
  const found = new Map<string, ReadonlySet<StorePath>>();
  for (const choice of choices) {
    if (choice === "whole") {
      found.set("", new Set());
      continue;
    }
    // Neither host nor size matters for which paths get volumes.
    const rules = { ...rulesOf(choice, maxVolumes), host: "localhost", maxImageBytes: Infinity };
    const [plan] = planClosures([{ source: "push", closure, types, profileRoots }], rules);
    const own = (plan?.volumes ?? []).flatMap(({ image, storePaths }) =>
      image.kind === "path" ? storePaths : [],
    );
    if (own.length < closure.paths.length) found.set(own.toSorted().join(" "), new Set(own));
  }
  return [...found.values()];
}

function rulesOf(choice: PlanChoice, maxVolumes: number): Pick<PlanRules, "strategy" | "maxImages"> {
  switch (choice) {
    case "stock":
      return { strategy: "auto", maxImages: Math.min(pullBudget(stockKubelet, otherImages), maxVolumes) };
    case "tuned":
      return { strategy: "auto", maxImages: maxVolumes };
    case "per-path":
    case "bundle":
      return { strategy: choice, maxImages: maxVolumes };
    default:
      return { strategy: "auto", maxImages: choice };
  }
}
