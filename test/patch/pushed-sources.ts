import type { PushedImages } from "../../src/closure-index/pushed-images.ts";
import type { Closure } from "../../src/nix/closure.ts";
import type { AdmissionSource } from "../../src/webhook/admission.ts";
import { pushClosure, type PushedPlan } from "../plan/pushed-closures.ts";
import { demoTypes } from "./closures.ts";

/** A source that closures of the demo were pushed to. */
interface PushedSource extends AdmissionSource {
  readonly repository: string;
  /** The plans of each closure. */
  readonly plans: readonly PushedPlan[];
}

/** One repository lies below another one, which means nothing to a registry. */
export const pushedSources: readonly PushedSource[] = [
  {
    name: "shop",
    namespaces: ["*"],
    repository: "registry.example.com/nix",
    pullSecret: "shop-registry",
    plans: ["bundle", 8, "per-path"],
  },
  {
    name: "depot",
    namespaces: ["*"],
    repository: "registry.example.com/nix/depot",
    plans: ["per-path", "bundle"],
  },
  {
    name: "stall",
    namespaces: ["*"],
    repository: "stall.example.com:5000/closures",
    pullSecret: "stall-registry",
    plans: [6, 9],
  },
];

const pushed = new WeakMap<Closure, Map<string, PushedImages>>();

/** What a resolver says of a closure of the demo. */
export function demoPushedImages(source: string, closure: Closure): PushedImages | undefined {
  const found = pushedSources.find(({ name }) => name === source);
  if (found === undefined) return undefined;
  const known = pushed.get(closure) ?? new Map<string, PushedImages>();
  pushed.set(closure, known);
  const images = known.get(source) ?? pushDemoClosure(closure, found);
  known.set(source, images);
  return images;
}

/** Who pushes a closure does not know which of several roots a Pod has as its profile: here it is the first by hash. */
export function pushDemoClosure(closure: Closure, { name, repository, plans }: PushedSource): PushedImages {
  const roots = closure.roots.toSorted();
  const known = {
    source: name,
    closure: { ...closure, roots },
    types: demoTypes,
    profileRoots: new Set(roots.slice(0, 1)),
  };
  return pushClosure(known, repository, plans);
}
