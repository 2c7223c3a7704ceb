import { internal } from "../errors.ts";
import type { Roots } from "../patch/annotations.ts";
import { pullBudget } from "../plan/budget.ts";
import { planClosures, typesNeeded, type Plan, type Strategy } from "../plan/plan.ts";
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
): Promise<Plan> {
  const { host, maxImageBytes, maxVolumes, kubelet, ...settings } = admissionSettings(config);
  const closure = await resolver.resolve(source, roots);
  const wanted = { source, closure, profileRoots: new Set(roots.slice(0, 1)) };
  // The container's image is pulled too.
  const maxImages = Math.min(pullBudget(kubelet, 1), maxVolumes);
  const rules = { strategy: strategy ?? settings.strategy, maxImages, host, maxImageBytes };
  const [needed = []] = typesNeeded([wanted], rules);
  const types = await resolver.pathTypes(source, needed);
  const [plan] = planClosures([{ ...wanted, types }], rules);
  if (plan === undefined) throw internal("a closure got no plan");
  return plan;
}
