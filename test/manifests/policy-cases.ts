/**
 * What the API server should do with Pods where nix-closure is installed: data, so that both a CEL evaluator and a real
 * API server can be held to it. Pods are as they are after all mutating webhooks.
 */

import { annotated, imageVolume, pod, stock, type CasePod, type PolicyCase } from "./case-pods.ts";
import { annotationCases, mountCases } from "./injected-cases.ts";
import { imageIdCases, referenceCases, updateCases } from "./reference-cases.ts";
import { repositoryCases } from "./repository-cases.ts";

export { policyNames, type CasePod, type PolicyCase, type PolicyName } from "./case-pods.ts";

function pushedTo(registry: string): { readonly registry: string; readonly publicKeys: readonly string[] } {
  return { registry, publicKeys: ["vault-1:XDs3FCDMjBrhoqKW3H+Z7ZHI/XsFAGGDww2GV8EotRo="] };
}

/** The chart's values that the cases are for. */
export const policyValues = {
  config: {
    sources: {
      demo: { caches: ["https://demo.example.com"] },
      other: { caches: ["https://other.example.com"], namespaces: ["*"] },
      team: { caches: ["https://team.example.com"], namespaces: ["team-*", "build"] },
      vault: { ...pushedTo("registry.example.com/vault"), namespaces: ["team-*"] },
      "vault-builds": { ...pushedTo("registry.example.com/vault"), namespaces: ["build"] },
      hub: { ...pushedTo("docker.io/example/closures"), namespaces: ["team-*"] },
      word: { ...pushedTo("index.docker.io/closures"), namespaces: ["team-*"] },
      near: { ...pushedTo("localhost:5000/closures"), namespaces: ["team-*"] },
    },
    defaultSource: "demo",
  },
} as const;

export const policyCases: readonly PolicyCase[] = [
  ...annotationCases,
  ...mountCases,
  ...referenceCases,
  ...repositoryCases,
  ...imageIdCases,
  ...updateCases,
];

/** The largest Pod that the webhook makes: 200 volumes, which each of ten containers mounts. */
export function largestPod(): CasePod {
  const names = Array.from({ length: 200 }, (_, i) => `nix-${String(i).padStart(32, "0")}`);
  const volumeMounts = names.map((name) => ({
    name,
    mountPath: `/nix/store/${name.slice(4)}-package-1.2.3`,
  }));
  return pod(
    {
      containers: Array.from({ length: 10 }, (_, i) => ({ name: `app-${i}`, image: stock, volumeMounts })),
      volumes: names.map((name) => imageVolume(`localhost:5417/demo/path/${name.slice(4)}:1`, name)),
    },
    annotated,
  );
}
