import { kubernetesTools, toolsMissing } from "../../manifests/kubernetes-tools.ts";
import { renderChart } from "../../manifests/chart.ts";
import { installProduct } from "../kind/install.ts";
import { apply, kubectl, list, type PodStatus, remove } from "./kubectl.ts";
import { dockerConfig, type OrdinaryRegistry } from "./ordinary-registry.ts";
import type { KubernetesObject } from "./pods.ts";
import { registryNamespace, webhookNamespace } from "./product.ts";

const credentials = "closure-registries";

/** A source of kind registry, as the chart's values have it. */
export interface PushedSource {
  readonly registry: string;
  readonly publicKeys: readonly string[];
  readonly pullSecret?: string;
  readonly namespaces?: readonly string[];
}

/**
 * Changes the installation to one where closures come from ordinary registries alone: the webhook has logins of its own
 * for them, and nothing of ours runs on nodes.
 *
 * @param registries what all sources are on, with one authority for all
 */
export async function installWithoutRegistry(
  config: {
    readonly sources: Readonly<Record<string, PushedSource>>;
    readonly defaultSource: string;
    readonly baseImage: string;
  },
  registries: readonly OrdinaryRegistry[],
  authorities: string,
): Promise<void> {
  const tools = kubernetesTools();
  if (tools === undefined) throw new Error(toolsMissing);
  const directory = "/etc/nix-closure-credentials";
  const files = { dockerConfigFile: `${directory}/config.json`, caFile: `${directory}/ca.pem` };
  const values = {
    createNamespace: true,
    image: { tag: "dev" },
    registry: { enabled: false },
    credentialsSecret: credentials,
    config: {
      ...config,
      sources: Object.fromEntries(
        Object.entries(config.sources).map(([name, source]) => [name, { ...source, ...files }]),
      ),
      kubelet: { registryPullQPS: 0 },
    },
  };
  await apply(
    secretOf(webhookNamespace, credentials, {
      "config.json": dockerConfig(registries),
      "ca.pem": authorities,
    }),
  );
  await kubectl(["apply", "-f", "-"], renderChart(tools.helm, ["--values", "-"], JSON.stringify(values)));
  await Promise.all([
    kubectl(["delete", "namespace", registryNamespace, "--ignore-not-found", "--timeout=120s"]),
    kubectl([
      "rollout",
      "status",
      "deployment/nix-closure-webhook",
      "-n",
      webhookNamespace,
      "--timeout=120s",
    ]),
  ]);
}

/** Installs it again as docs/kind.md does. */
export async function installAgain(): Promise<void> {
  await installProduct();
  await remove(secretOf(webhookNamespace, credentials, {}));
}

/** Pods of our registry, on whatever node. */
export function registryPods(): Promise<readonly PodStatus[]> {
  return list<PodStatus>("pods", undefined, "app.kubernetes.io/component=registry");
}

/** A Secret that Pods pull with. */
export function pullSecret(
  namespace: string,
  name: string,
  registries: readonly OrdinaryRegistry[],
): KubernetesObject {
  const data = { ".dockerconfigjson": dockerConfig(registries) };
  return { ...secretOf(namespace, name, data), type: "kubernetes.io/dockerconfigjson" };
}

function secretOf(
  namespace: string,
  name: string,
  stringData: Readonly<Record<string, string>>,
): KubernetesObject {
  return { apiVersion: "v1", kind: "Secret", metadata: { name, namespace }, stringData };
}
