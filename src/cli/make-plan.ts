import { internal } from "../errors.ts";
import type { Roots } from "../patch/annotations.ts";
import { pullBudget } from "../plan/budget.ts";
import { planClosures, typesNeeded, type Plan, type Strategy } from "../plan/plan.ts";
import { warnOfLargePlans } from "../plan/pushed-plan-warning.ts";
import { admissionSettings } from "../service/settings.ts";
import type { Toolbox } from "./toolbox.ts";

/**
 * Plans the closure of roots as the only one of a Pod with one container, which mounts the first root as its profile.
 * @param strategy undefined for the configuration's.
 */
export async function makePlan(
  { resolver, config }: Toolbox,
  { source, roots }: Roots,
  strategy: Strategy | undefined,
): Promise<{ readonly plan: Plan; readonly warnings: readonly string[] }> {
  const { host, maxImageBytes, maxVolumes, kubelet, ...settings } = admissionSettings(config);
  const closure = await resolver.resolve(source, roots);
  const pushed = resolver.pushedImages(source, closure);
  const wanted = { source, closure, profileRoots: new Set(roots.slice(0, 1)), pushed };
  // The container's image is pulled too.
  const maxImages = Math.min(pullBudget(kubelet, 1), maxVolumes);
  const rules = { strategy: strategy ?? settings.strategy, maxImages, host, maxImageBytes };
  const [needed = []] = typesNeeded([wanted], rules);
  const types = await resolver.pathTypes(source, needed);
  const [plan] = planClosures([{ ...wanted, types }], rules);
  if (plan === undefined) throw internal("a closure got no plan");
  return { plan, warnings: warnOfLargePlans([{ plan, ...wanted }], rules) };
}
