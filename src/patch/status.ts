import type { StorePath } from "../nix/store-path.ts";
import type { ResolvedClosure } from "./volume-set.ts";

/** Version of the status annotation's form, not of nix-closure. */
const statusVersion = 1;

/**
 * The status annotation: what a person or a tool wants to know of an injected Pod. It is never read back, and it stays
 * small, because the kubelet copies all annotations into every image volume's spec.
 */
export function formatStatus(closures: readonly ResolvedClosure[], volumes: number): string {
  const sizes = new Map<string, number>();
  const strategies = new Set<string>();
  const names: Record<string, Readonly<Record<string, StorePath>>> = {};
  let [namedPaths, namedBytes] = [0, 0];
  for (const resolved of closures) {
    if (!("named" in resolved)) {
      strategies.add(resolved.plan.strategy);
      for (const info of resolved.plan.closure.paths) sizes.set(info.storePath, info.narSize);
      continue;
    }
    const { name, closures: bySystem } = resolved.named.document;
    strategies.add("bundle");
    namedPaths += Math.max(...bySystem.map(({ paths }) => paths));
    namedBytes += Math.max(...bySystem.map(({ narSize }) => narSize));
    // What a name stands for is nowhere else in the Pod.
    names[`${resolved.source}:${name}`] = Object.fromEntries(
      bySystem.map(({ system, root }) => [system, root]),
    );
  }
  return JSON.stringify({
    version: statusVersion,
    paths: sizes.size + namedPaths,
    volumes,
    strategy: [...strategies].join(","),
    bytes: [...sizes.values()].reduce((sum, size) => sum + size, namedBytes),
    ...(Object.keys(names).length > 0 && { names }),
  });
}
