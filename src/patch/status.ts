import type { ResolvedClosure } from "./volume-set.ts";

/** Version of the status annotation's form, not of nix-closure. */
const statusVersion = 1;

/**
 * The status annotation: what a person or a tool wants to know of an injected Pod. It is never read back, and it stays
 * small, because the kubelet copies all annotations into every image volume's spec.
 */
export function formatStatus(closures: readonly ResolvedClosure[], volumes: number): string {
  const paths = new Map<string, number>();
  for (const { plan } of closures) {
    for (const info of plan.closure.paths) paths.set(info.storePath, info.narSize);
  }
  const strategies = new Set(closures.map(({ plan }) => plan.strategy));
  return JSON.stringify({
    version: statusVersion,
    paths: paths.size,
    volumes,
    strategy: [...strategies].join(","),
    bytes: [...paths.values()].reduce((sum, size) => sum + size, 0),
  });
}
