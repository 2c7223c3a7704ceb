import { beforeAll, describe, expect, test } from "vitest";
import { findObject, parseManifest, renderChart, type KubernetesObject } from "./chart.ts";
import { configOf, only, podOf, render } from "./chart-parts.ts";
import { kubernetesTools, toolsMissing } from "./kubernetes-tools.ts";
import { podSpecs, restrictedProblems, type PodSpec } from "./pod-specs.ts";

const tools = kubernetesTools();

describe.skipIf(tools === undefined)(`chart${tools === undefined ? ` (${toolsMissing})` : ""}`, () => {
  let objects: readonly KubernetesObject[];
  let webhook: PodSpec;
  let registry: PodSpec;
  beforeAll(() => {
    objects = render({ createNamespace: true });
    webhook = podOf(objects, "nix-closure-webhook");
    registry = podOf(objects, "nix-closure-registry");
  });

  test("every Pod is safe, asks for its share, and has no CPU limit", () => {
    expect(restrictedProblems(webhook)).toEqual([]);
    expect(restrictedProblems(registry)).toEqual(["hostNetwork", "hostPort 5417", "hostPort 5418"]);
    for (const container of [only(webhook), only(registry)]) {
      expect(container.resources?.requests).toEqual({ cpu: "100m", memory: "192Mi" });
      expect(container.securityContext?.readOnlyRootFilesystem).toBe(true);
    }
    expect(only(webhook).resources?.limits).toEqual({ memory: "512Mi" });
    expect(only(registry).resources?.limits).toEqual({ memory: "1Gi" });
  });

  test("namespaces are labelled for the Pods in them", () => {
    const level = (name: string): string | undefined =>
      findObject(objects, "Namespace", name).metadata.labels?.["pod-security.kubernetes.io/enforce"];
    expect(level("nix-closure")).toBe("restricted");
    expect(level("nix-closure-registry")).toBe("privileged");
    const names = render({}).filter(({ kind }) => kind === "Namespace");
    expect(names.map(({ metadata }) => metadata.name)).toEqual(["nix-closure-registry"]);
  });

  test("the webhook may touch only what is its own", () => {
    expect(findObject(objects, "Role", "nix-closure-webhook")["rules"]).toEqual([
      { apiGroups: [""], resources: ["secrets"], verbs: ["create"] },
      {
        apiGroups: [""],
        resources: ["secrets"],
        resourceNames: ["nix-closure-ca"],
        verbs: ["get", "watch", "update"],
      },
    ]);
    expect(findObject(objects, "ClusterRole", "nix-closure-webhook")["rules"]).toEqual([
      {
        apiGroups: ["admissionregistration.k8s.io"],
        resources: ["mutatingwebhookconfigurations"],
        resourceNames: ["nix-closure"],
        verbs: ["get", "watch", "patch"],
      },
      { nonResourceURLs: ["/metrics"], verbs: ["get"] },
    ]);
  });

  test("with cert-manager it may read its own webhook entry, and no Secret", () => {
    const rendered = render({ webhook: { certManager: { enabled: true } } });
    expect(rendered.filter(({ kind }) => kind === "Role" || kind === "RoleBinding")).toEqual([]);
    expect(findObject(rendered, "ClusterRole", "nix-closure-webhook")["rules"]).toContainEqual(
      expect.objectContaining({ resourceNames: ["nix-closure"], verbs: ["get", "watch"] }),
    );
  });

  test("the registry has no token", () => {
    expect(registry.automountServiceAccountToken).toBe(false);
    const account = findObject(objects, "ServiceAccount", "nix-closure-registry");
    expect(account["automountServiceAccountToken"]).toBe(false);
  });

  test("the registry claims its ports on the node, and is asked on the loopback", () => {
    const container = only(registry);
    expect(registry).toMatchObject({
      hostNetwork: true,
      dnsPolicy: "ClusterFirstWithHostNet",
      tolerations: [{ operator: "Exists" }],
      priorityClassName: "system-node-critical",
      nodeSelector: { "kubernetes.io/os": "linux" },
    });
    expect(container.ports).toEqual([
      { name: "registry", containerPort: 5417, hostPort: 5417 },
      { name: "admin", containerPort: 5418, hostPort: 5418 },
    ]);
    for (const probe of [container.startupProbe, container.livenessProbe, container.readinessProbe])
      expect(probe?.httpGet).toMatchObject({ host: "127.0.0.1", port: 5418 });
  });

  test("the registry's ports follow the configuration", () => {
    const changed = render({
      config: { registry: { listen: "localhost:6417", reference: "localhost:6417" } },
      registry: { adminPort: 6418 },
    });
    const container = only(podOf(changed, "nix-closure-registry"));
    expect(container.ports?.map(({ hostPort }) => hostPort)).toEqual([6417, 6418]);
    expect(container.readinessProbe?.httpGet?.port).toBe(6418);
    expect(configOf(changed, "nix-closure-registry").admin.listen).toEqual({ host: "127.0.0.1", port: 6418 });
  });

  test.for(["20Gi", "1.5Gi", "500M", "100Mi", 5_000_000, 21_474_836_480, "2Ti"])(
    "the registry's volume has room for %s of layers",
    (maxBytes) => {
      const rendered = render({ config: { registry: { blobs: { maxBytes } } } });
      const blobs = podOf(rendered, "nix-closure-registry").volumes?.find(({ name }) => name === "blobs");
      const limit = /^([0-9]+)Mi$/.exec(blobs?.emptyDir?.sizeLimit ?? "")?.[1];
      const budget = configOf(rendered, "nix-closure-registry").registry.blobs.maxBytes;
      expect(Number(limit) * 1024 ** 2).toBeGreaterThan(budget * 1.1);
      expect(Number(limit) * 1024 ** 2).toBeLessThan(budget * 1.11 + 70 * 1024 ** 2);
    },
  );

  test("a directory of our own on the node is given to the registry's user by CHOWN alone", () => {
    const spec = podOf(render({ registry: { hostPath: "/var/lib" } }), "nix-closure-registry");
    expect(spec.volumes).toContainEqual({
      name: "blobs",
      hostPath: { path: "/var/lib/nix-closure", type: "DirectoryOrCreate" },
    });
    const [init] = spec.initContainers ?? [];
    expect(init?.command).toEqual(["chown", "65532:65532", "/var/lib/nix-closure"]);
    expect(init?.securityContext).toMatchObject({
      runAsUser: 0,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"], add: ["CHOWN"] },
    });
    expect(spec.containers[0]?.securityContext?.capabilities).toEqual({ drop: ["ALL"] });
    expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 65532 });
  });

  test("one replica of the webhook is always there", () => {
    expect(findObject(objects, "Deployment", "nix-closure-webhook").spec).toMatchObject({
      replicas: 2,
      strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
    });
    const budget = findObject(objects, "PodDisruptionBudget", "nix-closure-webhook").spec;
    expect(budget).toMatchObject({ maxUnavailable: 1 });
    expect(webhook).toMatchObject({
      priorityClassName: "system-cluster-critical",
      terminationGracePeriodSeconds: 30,
      enableServiceLinks: false,
    });
    expect(webhook.topologySpreadConstraints?.map(({ topologyKey }) => topologyKey)).toEqual([
      "kubernetes.io/hostname",
      "topology.kubernetes.io/zone",
    ]);
  });

  test("the API server finds the webhook's port", () => {
    const [entry] = findObject(objects, "MutatingWebhookConfiguration", "nix-closure")["webhooks"] as {
      clientConfig: { service: Record<string, unknown>; caBundle?: string };
    }[];
    expect(entry).toMatchObject({
      name: "pods.nix.closure",
      failurePolicy: "Fail",
      sideEffects: "None",
      reinvocationPolicy: "IfNeeded",
      rules: [{ operations: ["CREATE"], resources: ["pods"], scope: "Namespaced" }],
    });
    expect(entry?.clientConfig.service).toEqual({
      namespace: "nix-closure",
      name: "nix-closure-webhook",
      path: "/mutate",
      port: 443,
    });
    // The webhook's own: applied again, the manifest must not say anything of it.
    expect(entry?.clientConfig.caBundle).toBeUndefined();
    const service = findObject(objects, "Service", "nix-closure-webhook").spec as {
      ports: { port: number; targetPort: string }[];
      selector: Record<string, string>;
    };
    expect(service.ports).toEqual([{ name: "webhook", port: 443, targetPort: "webhook" }]);
    const [port] = only(webhook).ports ?? [];
    expect(port).toEqual({ name: "webhook", containerPort: 10250 });
    expect(configOf(objects, "nix-closure").webhook.listen.port).toBe(10250);
  });

  test("with another namespace, all that belongs together still does", () => {
    const moved = parseManifest(
      renderChart(tools!.helm, ["--namespace", "other", "--set", "registry.namespace=other-registry"]),
    );
    expect(JSON.stringify(moved)).not.toMatch(/"nix-closure-registry","operator|"namespace":"nix-closure"/);
    expect(configOf(moved, "other").cluster?.namespace).toBe("other");
    expect(JSON.stringify(findObject(moved, "MutatingWebhookConfiguration", "nix-closure"))).toContain(
      `"values":["kube-system","other","other-registry"]`,
    );
  });

  test("the image is the one that the values name", () => {
    const image = (values: object): readonly (string | undefined)[] =>
      podSpecs(render({ image: values })).flatMap(({ spec }) =>
        spec.containers.map((container) => container.image),
      );
    expect(image({})).toEqual(["nix-closure:0.1.0", "nix-closure:0.1.0"]);
    expect(image({ tag: "dev" })).toEqual(["nix-closure:dev", "nix-closure:dev"]);
    const digest = `sha256:${"0".repeat(64)}`;
    expect(new Set(image({ repository: "a.example.com/b", digest }))).toEqual(
      new Set([`a.example.com/b@${digest}`]),
    );
  });
});
