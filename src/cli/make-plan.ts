import type { Roots } from "../patch/annotations.ts";
import { planClosure, typesNeeded, type Plan, type Strategy } from "../plan/plan.ts";
import { admissionSettings } from "../service/settings.ts";
import type { Toolbox } from "./toolbox.ts";

/**
 * Plans the closure of roots as the only one of a Pod, whose containers get it and mount the first root as their
 * profile.
 * @param strategy undefined for the configuration's.
 */
export async function makePlan(
  { resolver, config }: Toolbox,
  { source, roots }: Roots,
  strategy: Strategy | undefined,
): Promise<Plan> {
  const settings = admissionSettings(config);
  const wanted = strategy ?? settings.strategy;
  const closure = await resolver.resolve(source, roots);
  const types = await resolver.pathTypes(source, typesNeeded(closure, wanted));
  const { host, maxImageBytes } = settings;
  const profileRoots = new Set(roots.slice(0, 1));
  return planClosure({ source, closure, types, strategy: wanted, profileRoots, host, maxImageBytes });
}
