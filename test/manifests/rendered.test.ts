import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { chart, readRendered, renderedFiles, renderFile } from "./chart.ts";
import { kubernetesTools, runTool, toolsMissing } from "./kubernetes-tools.ts";

const tools = kubernetesTools();

/** Values that between them reach every branch of the templates. */
const variants: Readonly<Record<string, object>> = {
  defaults: {},
  "cert-manager": { webhook: { certManager: { enabled: true } } },
  "an issuer of one's own": {
    webhook: { certManager: { enabled: true, issuerRef: { name: "company", kind: "ClusterIssuer" } } },
  },
  "every option": {
    createNamespace: true,
    commonLabels: { team: "platform" },
    image: { repository: "registry.example.com/nix-closure", digest: `sha256:${"0".repeat(64)}` },
    imagePullSecrets: [{ name: "login" }],
    credentialsSecret: "caches",
    criticalPodsQuota: true,
    webhook: {
      excludedNamespaces: ["kube-public"],
      nodeSelector: { pool: "system" },
      tolerations: [{ operator: "Exists" }],
      affinity: { nodeAffinity: {} },
      podLabels: { a: "b" },
      podAnnotations: { c: "d" },
      extraVolumes: [{ name: "extra", emptyDir: {} }],
      extraVolumeMounts: [{ name: "extra", mountPath: "/extra" }],
      networkPolicy: {
        enabled: true,
        from: [{ ipBlock: { cidr: "10.0.0.0/28" } }],
        adminFrom: [{ podSelector: {} }],
      },
      podMonitor: { enabled: true, labels: { release: "prometheus" } },
    },
    registry: {
      hostPath: "/var/lib",
      createNamespace: false,
      allowNetwork: true,
      nodeSelector: { pool: "workers" },
      affinity: { nodeAffinity: {} },
      podLabels: { a: "b" },
      podAnnotations: { c: "d" },
      extraVolumes: [{ name: "extra", emptyDir: {} }],
      extraVolumeMounts: [{ name: "extra", mountPath: "/extra" }],
    },
  },
  "no registry": {
    registry: { enabled: false },
    criticalPodsQuota: true,
    config: { sources: { shop: { registry: "registry.example.com/nix", publicKeys: ["a:b"] } } },
  },
  "no policies": { policies: { enabled: false } },
};

describe.skipIf(tools === undefined)(`chart${tools === undefined ? ` (${toolsMissing})` : ""}`, () => {
  const { helm } = tools ?? { helm: "" };

  test.for(renderedFiles)("$path is what the chart renders", (file) => {
    expect(readRendered(file), `${file.path} is stale; mend it by: npm run manifests`).toBe(
      renderFile(helm, file),
    );
  });

  test.for(Object.entries(variants))("helm lint passes: %s", ([, values]) => {
    const lint = (): string =>
      runTool(helm, ["lint", "--strict", fileURLToPath(chart), "--values", "-"], JSON.stringify(values));
    expect(lint()).toContain("0 chart(s) failed");
  });

  test("helm lint passes: kind", () => {
    const kind = fileURLToPath(new URL("../kind/values.yaml", chart));
    expect(runTool(helm, ["lint", "--strict", fileURLToPath(chart), "--values", kind])).toContain(
      "0 chart(s) failed",
    );
  });
});
