import type { LocalObjectReference, Pod } from "./pod.ts";

/**
 * The Pod's imagePullSecrets with those that its closures need and it does not name yet, at the end; undefined if there is
 * nothing to do. An entry is never taken out: whose it is cannot be seen.
 *
 * An API server has put the list of the ServiceAccount into a Pod without one before it asks a webhook (its plug-in
 * ServiceAccount comes before MutatingAdmissionWebhook), so that list is kept too.
 *
 * @param names in the order wished, each once or more often.
 */
export function addPullSecrets(
  { spec }: Pod,
  names: readonly string[],
): readonly LocalObjectReference[] | undefined {
  const existing = spec.imagePullSecrets ?? [];
  const present = new Set(existing.map(({ name }) => name));
  const added = [...new Set(names)].filter((name) => !present.has(name)).map((name) => ({ name }));
  return added.length === 0 ? undefined : [...existing, ...added];
}

/** Whether a Pod has a list of its own, which keeps that of its ServiceAccount away. */
export function hasPullSecrets({ spec }: Pod): boolean {
  return (spec.imagePullSecrets ?? []).length > 0;
}
