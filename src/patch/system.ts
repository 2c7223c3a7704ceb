import { systemConflict, type NixClosureError } from "../errors.ts";
import type { System } from "./annotations.ts";
import type { Pod } from "./pod.ts";

const architectureLabel = "kubernetes.io/arch";

/** The node selector that a system asks for; undefined if the Pod has it already or asks for none. */
export function selectSystem(
  pod: Pod,
  system: System | undefined,
  errors: NixClosureError[],
): Readonly<Record<string, string>> | undefined {
  if (system === undefined) return undefined;
  const found = pod.spec.nodeSelector?.[architectureLabel];
  if (found === system.architecture) return undefined;
  if (found !== undefined) {
    errors.push(systemConflict(system.system, system.architecture, found));
    return undefined;
  }
  return { ...pod.spec.nodeSelector, [architectureLabel]: system.architecture };
}
