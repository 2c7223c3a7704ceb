import { parseManifest, renderChart, type KubernetesObject } from "./chart.ts";
import { policyCases, policyValues } from "./policy-cases.ts";

/** Namespaces of the cases have this in front on a real cluster, and expressions see them without. */
const prefix = "policy-case-";
const label = { "nix-closure.test/policy-cases": "true" } as const;

/**
 * The two policies with the values of the cases, for a real API server where nix-closure may be installed too: they
 * have other names, are bound to namespaces of their own, and are about another annotation, another port and other
 * image IDs.
 * @returns what is to be applied before the cases' Pods of before are created, and after that.
 */
export function isolatedPolicies(helm: string): {
  readonly first: readonly KubernetesObject[];
  readonly bindings: readonly KubernetesObject[];
} {
  const objects = parseManifest(renderChart(helm, ["--values", "-"], JSON.stringify(policyValues)));
  const policies = objects.filter(({ kind }) => kind === "ValidatingAdmissionPolicy");
  const text = `request.namespace.substring(${prefix.length})`;
  return {
    first: [
      ...[...new Set(policyCases.map(({ namespace }) => isolatedNamespace(namespace)))].map((name) => ({
        apiVersion: "v1",
        kind: "Namespace",
        metadata: { name, labels: label },
      })),
      ...policies.map((policy) =>
        isolate({
          ...policy,
          metadata: { name: isolatedPolicy(policy.metadata.name) },
          spec: JSON.parse(JSON.stringify(policy.spec).replaceAll("request.namespace", text)) as unknown,
        }),
      ),
    ],
    bindings: policies.map(({ apiVersion, metadata }) => ({
      apiVersion,
      kind: "ValidatingAdmissionPolicyBinding",
      metadata: { name: isolatedPolicy(metadata.name) },
      spec: {
        policyName: isolatedPolicy(metadata.name),
        validationActions: ["Deny"],
        matchResources: { namespaceSelector: { matchLabels: label } },
      },
    })),
  };
}

/** The name of an isolated policy and of its binding. */
export function isolatedPolicy(name: string): string {
  return `policy-case-${name}`;
}

/** The namespace on a real cluster that stands for a case's. */
export function isolatedNamespace(namespace: string): string {
  return prefix + namespace;
}

/** A Pod or a policy, about the annotation, the port and the image IDs of the isolated policies. */
export function isolate<T>(value: T): T {
  const text = JSON.stringify(value)
    .replaceAll(/nix(\.|\[\.\])closure/g, "isolated-nix$1closure")
    .replaceAll("5417", "5499")
    // Image IDs: in a Pod, and in the policy's expression for them.
    .replaceAll(/"(sha256:[0-9a-f]+|[0-9a-f]{64})"/g, '"isolated-$1"')
    .replaceAll("^(?:sha256:", "^isolated-(?:sha256:");
  return JSON.parse(text) as T;
}
