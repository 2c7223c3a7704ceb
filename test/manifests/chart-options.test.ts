import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseDocument } from "yaml";
import type { Config } from "../../src/config.ts";
import { demoKey } from "../nix/demo-cache.ts";
import { findObject, parseManifest, renderChart, type KubernetesObject } from "./chart.ts";
import { configOf, render } from "./chart-parts.ts";
import { kubernetesTools, toolsMissing } from "./kubernetes-tools.ts";
import { podSpecs } from "./pod-specs.ts";

const tools = kubernetesTools();

/** Names that Kubernetes takes for an object, and YAML for something else than text. */
const ambiguous = ["123", "1e3", "on", "null", "true", "0x1f"] as const;

const kinds = (objects: readonly KubernetesObject[], namespace: string): readonly string[] =>
  objects
    .filter(
      ({ kind, metadata }) =>
        metadata.namespace === namespace || (kind === "Namespace" && metadata.name === namespace),
    )
    .map(({ kind }) => kind)
    .toSorted();

describe.skipIf(tools === undefined)(`options${tools === undefined ? ` (${toolsMissing})` : ""}`, () => {
  test("without the registry, nothing of it is there, and all of the webhook is", () => {
    const common = {
      createNamespace: true,
      criticalPodsQuota: true,
      config: { registry: { reference: "localhost:5417" } },
    };
    const whole = render(common);
    const alone = render({ ...common, registry: { enabled: false } });
    expect(kinds(whole, "nix-closure-registry")).toEqual([
      "ConfigMap",
      "DaemonSet",
      "Namespace",
      "ResourceQuota",
      "ServiceAccount",
    ]);
    expect(kinds(alone, "nix-closure-registry")).toEqual([]);
    expect(alone).toEqual(
      whole.filter(({ metadata }) => ![metadata.namespace, metadata.name].includes("nix-closure-registry")),
    );
    expect(configOf(alone, "nix-closure")).toEqual(configOf(whole, "nix-closure"));
  });

  test("without the registry, the webhook knows whether something else answers in its place", () => {
    const shop = { registry: "registry.example.com/nix", publicKeys: [demoKey] };
    const registryOf = (registry: object): Config["registry"] => {
      const values = { registry: { enabled: false }, config: { sources: { shop }, registry } };
      return configOf(render(values), "nix-closure").registry;
    };
    expect(registryOf({}).enabled).toBe(false);
    expect(registryOf({ reference: "mirror.example.com" })).toMatchObject({
      enabled: true,
      reference: "mirror.example.com",
    });
  });

  test("the values of docs/install.md for that are rendered, and its webhook has what it needs", () => {
    const page = readFileSync(new URL("../../docs/install.md", import.meta.url), "utf8");
    const [, section = ""] = page.split("\n## Without a registry on nodes\n");
    const [, values = ""] = /^```yaml\n(.*?)^```$/ms.exec(section) ?? [];
    const rendered = parseManifest(renderChart(tools!.helm, ["--values", "-"], values));
    expect(rendered.filter(({ kind }) => kind === "DaemonSet")).toEqual([]);
    expect(configOf(rendered, "nix-closure")).toMatchObject({
      baseImage: "registry.example.com/nix:base-1",
      registry: { enabled: false },
      sources: [{ registry: "registry.example.com/nix", pullSecret: "shop-registry" }],
    });
  });

  test("the registry's namespace may be there before the chart", () => {
    const namespaces = (values: object): readonly string[] =>
      render(values).flatMap(({ kind, metadata }) => (kind === "Namespace" ? [metadata.name] : []));
    expect(namespaces({ registry: { createNamespace: false } })).toEqual([]);
    expect(namespaces({ createNamespace: true, registry: { createNamespace: false } })).toEqual([
      "nix-closure",
    ]);
    expect(kinds(render({ registry: { createNamespace: false } }), "nix-closure-registry")).toEqual([
      "ConfigMap",
      "DaemonSet",
      "ServiceAccount",
    ]);
  });

  test("the network policy lets everyone to both ports, or those that are named to each", () => {
    const ingress = (networkPolicy: object): unknown => {
      const rendered = render({ webhook: { networkPolicy: { enabled: true, ...networkPolicy } } });
      return (findObject(rendered, "NetworkPolicy", "nix-closure-webhook").spec as { ingress: unknown })
        .ingress;
    };
    const webhook = [{ protocol: "TCP", port: "webhook" }];
    const admin = [{ protocol: "TCP", port: "admin" }];
    const from = [{ ipBlock: { cidr: "10.0.0.0/28" } }];
    const adminFrom = [
      { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "monitoring" } } },
    ];
    expect(ingress({})).toEqual([{ ports: webhook }, { ports: admin }]);
    expect(ingress({ from })).toEqual([{ ports: webhook, from }, { ports: admin }]);
    expect(ingress({ adminFrom })).toEqual([{ ports: webhook }, { ports: admin, from: adminFrom }]);
    expect(ingress({ from, adminFrom })).toEqual([
      { ports: webhook, from },
      { ports: admin, from: adminFrom },
    ]);
  });

  test.for(ambiguous)("a name stays text in YAML: %s", (name) => {
    const values = {
      createNamespace: true,
      criticalPodsQuota: true,
      credentialsSecret: name,
      imagePullSecrets: [{ name }],
      commonLabels: { [name]: name },
      config: {
        sources: { [name]: { caches: ["https://a.example.com"], namespaces: [name] } },
        defaultSource: name,
      },
      webhook: {
        certManager: { enabled: true },
        excludedNamespaces: [name],
        networkPolicy: { enabled: true },
        podMonitor: { enabled: true, interval: name, labels: { a: name } },
        priorityClassName: name,
        nodeSelector: { a: name },
        podLabels: { a: name },
        podAnnotations: { a: name },
      },
      registry: {
        namespace: `${name}0`,
        hostPath: `/${name}`,
        priorityClassName: name,
        nodeSelector: { a: name },
        podLabels: { a: name },
        podAnnotations: { a: name },
      },
    };
    const text = renderChart(tools!.helm, ["--namespace", name, "--values", "-"], JSON.stringify(values));
    for (const version of ["1.1", "1.2"] as const) {
      // Helm and kubectl read YAML 1.1 in part, where `on` is true.
      const objects = text.split(/^---$/m).flatMap((part) => {
        const value = parseDocument(part, { version }).toJS() as KubernetesObject | null;
        return value === null ? [] : [value];
      });
      expect(objects.length).toBeGreaterThan(15);
      expect(withoutText(objects)).toEqual([]);
    }
    expect(configOf(parseManifest(text), name).defaultSource).toBe(name);
  });

  test("a label of one's own takes the place of a common one", () => {
    const objects = render({
      commonLabels: { team: "platform", a: "b" },
      webhook: { podLabels: { team: "shop" } },
    });
    const { spec, metadata } = findObject(objects, "Deployment", "nix-closure-webhook");
    const { template } = spec as { template: { metadata: { labels: object } } };
    expect(metadata.labels).toMatchObject({ team: "platform", a: "b" });
    expect(template.metadata.labels).toMatchObject({ team: "shop", a: "b" });
  });

  test("null takes a default away, as Helm says", () => {
    const part = { nodeSelector: null, podLabels: null, affinity: null };
    const values = { commonLabels: null, webhook: part, registry: part };
    expect(render(values)).toEqual(render({}));
  });

  test("a selector of nodes adds to the operating system", () => {
    const nodeSelector = { "kubernetes.io/os": "linux", pool: "system" };
    for (const { spec } of podSpecs(render({ webhook: { nodeSelector }, registry: { nodeSelector } })))
      expect(spec["nodeSelector"]).toEqual(nodeSelector);
  });
});

/** Paths of fields that hold a name or a word, and are not text. */
function withoutText(value: unknown, path = ""): readonly string[] {
  const numbers =
    /\/(ports?|containerPort|hostPort|size|replicas|revisionHistoryLimit|max\w+|\w+Seconds|failureThreshold|runAs(User|Group))(\/\d+)?$/;
  const flags =
    /\/(isCA|enableServiceLinks|automountServiceAccountToken|hostNetwork|optional|readOnly\w*|runAsNonRoot|allowPrivilegeEscalation)$/;
  if (typeof value === "string") return [];
  if (typeof value === "number") return numbers.test(path) ? [] : [`${path}: ${value}`];
  if (typeof value !== "object" || value === null)
    return flags.test(path) ? [] : [`${path}: ${String(value)}`];
  return Object.entries(value).flatMap(([key, field]) => withoutText(field, `${path}/${key}`));
}
