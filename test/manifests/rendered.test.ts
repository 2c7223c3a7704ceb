import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { chart, readRendered, renderChart, renderedFiles, renderFile } from "./chart.ts";
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
      networkPolicy: { enabled: true },
      podMonitor: { enabled: true, labels: { release: "prometheus" } },
    },
    registry: {
      hostPath: "/var/lib/nix-closure",
      nodeSelector: { pool: "workers" },
      affinity: { nodeAffinity: {} },
      podLabels: { a: "b" },
      podAnnotations: { c: "d" },
      extraVolumes: [{ name: "extra", emptyDir: {} }],
      extraVolumeMounts: [{ name: "extra", mountPath: "/extra" }],
    },
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

  test.for([
    ["an unknown key", { webhook: { replica: 3 } }, /'replica' not allowed/],
    ["an unknown key of the configuration", { config: { source: {} } }, /'source' not allowed/],
    [
      "a key of the configuration that the chart sets",
      { config: { admin: { listen: ":1" } } },
      /'admin' not allowed/,
    ],
    [
      "a certificate's file beside the chart's",
      { config: { webhook: { certFile: "/a" } } },
      /config\/webhook/,
    ],
    ["a source's name that no image can have", { config: { sources: { A_b: { caches: [] } } } }, /A_b/],
    [
      "a namespace pattern that is none",
      { config: { sources: { a: { caches: [], namespaces: ["team.*"] } } } },
      /namespaces\/0/,
    ],
    [
      "several sources and no default",
      { config: { sources: { a: { caches: [] }, b: { caches: [] } } } },
      /defaultSource is missing; .*: a, b/,
    ],
    [
      "a default that there is not",
      { config: { defaultSource: "x" } },
      /there is no source "x"; there are: nixos/,
    ],
    ["a size that is none", { config: { registry: { blobs: { maxBytes: "20GB" } } } }, /maxBytes/],
    ["a wait that the API server does not take", { webhook: { timeoutSeconds: 31 } }, /maximum.*30/],
  ] as const)("%s is refused in words", ([, values, message]) => {
    expect(() => renderChart(helm, ["--values", "-"], JSON.stringify(values))).toThrow(message);
  });
});
