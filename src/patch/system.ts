import { architectures, type System, systems } from "../closure-index/system.ts";
import { systemConflict, systemNotPushed, type NixClosureError } from "../errors.ts";
import { baseName } from "../nix/store-path.ts";
import { annotationKeys } from "./annotations.ts";
import type { Pod } from "./pod.ts";
import type { ResolvedClosure } from "./volume-set.ts";

/** The label of nodes that says what programs they run. */
export const architectureLabel = "kubernetes.io/arch";

/** The systems that a closure is for. */
export interface ClosureSystems {
  /** The closure in words. */
  readonly closure: string;
  /** undefined: of a binary cache, where nothing says it. */
  readonly systems: readonly System[] | undefined;
  /** Nodes of all other systems have nothing to pull. */
  readonly isName: boolean;
}

/** Finds out for which systems a closure is. */
export function systemsOf(resolved: ResolvedClosure): ClosureSystems {
  if ("named" in resolved) {
    const { name, closures } = resolved.named.document;
    return { closure: `the name ${name}`, systems: closures.map(({ system }) => system), isName: true };
  }
  const { plan, pushed } = resolved;
  const closure = `the closure of ${plan.closure.roots.map(baseName).join(" ")}`;
  return { closure, systems: pushed && [pushed.system], isName: false };
}

/**
 * The node selector that the Pod's system asks for, else the only system that its names have images for.
 *
 * @param errors gets systemNotPushed for each closure that is not for the system asked for, or of a name for the nodes
 * that the Pod selects; systemConflict.
 * @returns undefined if the Pod has it already, or nothing asks for one.
 */
export function selectSystem(
  pod: Pod,
  asked: System | undefined,
  closures: readonly ClosureSystems[],
  errors: NixClosureError[],
): Readonly<Record<string, string>> | undefined {
  const found = pod.spec.nodeSelector?.[architectureLabel];
  if (asked !== undefined) {
    for (const { closure, systems: pushed } of closures) {
      if (pushed === undefined || pushed.includes(asked)) continue;
      const why = `the annotation ${annotationKeys.system} asks for`;
      errors.push(
        systemNotPushed(closure, pushed, why, asked, "remove it, or push the closure for that system"),
      );
    }
    if (found === undefined) return select(pod, asked);
    if (found !== architectures[asked]) errors.push(systemConflict(asked, architectures[asked], found));
    return undefined;
  }
  let common: readonly System[] = systems;
  for (const { closure, systems: pushed = systems, isName } of closures) {
    if (!isName) continue;
    const left = common.filter((system) => pushed.includes(system));
    const fits = found === undefined || left.some((system) => architectures[system] === found);
    if (left.length === 0 || !fits) {
      const [why, wanted] =
        left.length === 0
          ? ["another name of the Pod for", common.join(" and ")]
          : [`the Pod selects nodes with ${architectureLabel}:`, String(found)];
      errors.push(systemNotPushed(closure, pushed, why, wanted, "push the name for that system too"));
      return undefined;
    }
    common = left;
  }
  const [only, ...others] = common;
  return only === undefined || others.length > 0 || found !== undefined ? undefined : select(pod, only);
}

function select({ spec }: Pod, system: System): Readonly<Record<string, string>> {
  return { ...spec.nodeSelector, [architectureLabel]: architectures[system] };
}
