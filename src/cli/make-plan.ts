import type { System } from "../closure-index/system.ts";
import { internal, strategyNotForNames } from "../errors.ts";
import { defaultProfile } from "../patch/annotations.ts";
import type { AskedClosure, AskedName, Roots } from "../patch/asked-closure.ts";
import { pullBudget } from "../plan/budget.ts";
import { makeNamedVolumes } from "../plan/named-volumes.ts";
import { planClosures, type PlannedVolume, typesNeeded, type Plan, type Strategy } from "../plan/plan.ts";
import { storeDirectory } from "../nix/store-path.ts";
import { warnOfLargePlans } from "../plan/pushed-plan-warning.ts";
import { admissionSettings } from "../service/settings.ts";
import { readNamedClosures } from "./named-closures.ts";
import type { Toolbox } from "./toolbox.ts";

/** What a Pod gets on nodes of one system. */
export interface MadePlan {
  readonly plan: Plan;
  readonly warnings: readonly string[];
  /** undefined: nothing says it. */
  readonly system: System | undefined;
}

/**
 * Plans a closure as the only one of a Pod with one container, which mounts the first root as its profile.
 * @param strategy undefined for the configuration's.
 * @returns one for roots, one for each system of a name.
 */
export async function makePlans(
  toolbox: Toolbox,
  asked: AskedClosure,
  strategy: Strategy | undefined,
): Promise<readonly MadePlan[]> {
  if ("roots" in asked) return [await makePlan(toolbox, asked, strategy)];
  if (strategy === "per-path" || strategy === "packed") throw strategyNotForNames(strategy, asked.name);
  return makeNamedPlans(toolbox, asked);
}

async function makePlan(
  { resolver, config }: Toolbox,
  { source, roots }: Roots,
  strategy: Strategy | undefined,
): Promise<MadePlan> {
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
  return { plan, warnings: warnOfLargePlans([{ plan, ...wanted }], rules), system: pushed?.system };
}

async function makeNamedPlans(
  { resolver }: Toolbox,
  { source, name }: AskedName,
): Promise<readonly MadePlan[]> {
  const closures = await readNamedClosures(resolver, { source, name });
  const volumes = makeNamedVolumes(await resolver.named(source, name), defaultProfile);
  return closures.map(({ named: { system, root }, closure }) => {
    const storePaths = closure.paths.map(({ storePath }) => storePath);
    const planned = volumes.map((volume): PlannedVolume => {
      if (volume.mountPath === storeDirectory) return { ...volume, storePaths, narSize: closure.narSize };
      return { ...volume, storePaths: [root], narSize: closure.byPath.get(root)?.narSize ?? 0 };
    });
    return { plan: { source, strategy: "bundle", closure, volumes: planned }, warnings: [], system };
  });
}
