import { parse, stringify } from "yaml";
import { kubectl } from "../../test/cluster/kind/kubectl.ts";
import { productImage } from "../../test/cluster/kind/product-image.ts";
import { webhookNamespace } from "../../test/cluster/suite/product.ts";
import { findObject, type KubernetesObject, parseManifest, renderChart } from "../../test/manifests/chart.ts";
import { kubernetesTools, toolsMissing } from "../../test/manifests/kubernetes-tools.ts";
import { cacheKeys } from "./bench-cache.ts";
import { kubelets, type KubeletName } from "./bench-cluster.ts";
import type { CacheServers } from "./cache-servers.ts";

/** Whether a node's registry paces pulls: it does if it is told of a kubelet as it comes. */
export type Pacing = "paced" | "unpaced";
const told: Readonly<Record<Pacing, KubeletName>> = { paced: "stock", unpaced: "tuned" };

/** A node with this label has a registry, which paces or not. */
const nodeLabel = "nix-closure.bench/registry";
const registry = "nix-closure-registry";
/** A label of the registry's Pods, and its values. */
export const componentLabel = "app.kubernetes.io/component";
export const components: Readonly<Record<Pacing, string>> = {
  paced: "registry",
  unpaced: "registry-unpaced",
};
const config = "nix-closure-config";
const configKey = "nix-closure.yaml";

/**
 * Installs the product by its chart, with two registries for nodes to choose from by their label, or changes what is
 * installed.
 *
 * @param kubelet what the webhook is told of the nodes' kubelets
 */
export async function installProduct(caches: CacheServers, kubelet: KubeletName): Promise<void> {
  const isRegistrys = ({ metadata }: KubernetesObject): boolean => metadata.namespace === registry;
  // The registries stay as they are.
  const registries = render(caches, told.paced).filter(isRegistrys);
  const others = render(caches, kubelet).filter((object) => !isRegistrys(object));
  const items = [...others, ...registries, ...unpacedRegistry(registries)];
  await kubectl(["apply", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items }));
  const where = ["--namespace", webhookNamespace, "--timeout=120s"];
  await kubectl(["rollout", "status", "deployment/nix-closure-webhook", ...where]);
}

function render({ urls }: CacheServers, kubelet: KubeletName): readonly KubernetesObject[] {
  const tools = kubernetesTools();
  if (tools === undefined) throw new Error(toolsMissing);
  const sources = Object.fromEntries(
    Object.entries(urls).map(([name, url]) => [name, { caches: [url], publicKeys: cacheKeys }]),
  );
  const values = {
    createNamespace: true,
    image: { tag: productImage.split(":")[1] },
    // One replica knows all closures once it was asked.
    webhook: { replicas: 1 },
    registry: { nodeSelector: { [nodeLabel]: "paced" } },
    config: { sources, defaultSource: "fast", kubelet: kubelets[kubelet] },
  };
  return parseManifest(renderChart(tools.helm, ["--values", "-"], stringify(values)));
}

/** The registry's configuration with the figures of a kubelet. */
function toldOf(object: KubernetesObject, pacing: Pacing): KubernetesObject {
  const { data } = object as KubernetesObject & { readonly data: Readonly<Record<string, string>> };
  const file = parse(data[configKey] ?? "") as object;
  return { ...object, data: { [configKey]: stringify({ ...file, kubelet: kubelets[told[pacing]] }) } };
}

/** A second DaemonSet, for nodes with the other label. */
function unpacedRegistry(objects: readonly KubernetesObject[]): readonly KubernetesObject[] {
  const name = `${registry}-unpaced`;
  const configMap = toldOf(findObject(objects, "ConfigMap", config, registry), "unpaced");
  const text = JSON.stringify(findObject(objects, "DaemonSet", registry))
    .replaceAll(`"${nodeLabel}":"paced"`, `"${nodeLabel}":"unpaced"`)
    .replaceAll(`"name":"${config}"`, `"name":"${name}"`)
    .replaceAll(`"${componentLabel}":"${components.paced}"`, `"${componentLabel}":"${components.unpaced}"`);
  const daemonSet = JSON.parse(text) as KubernetesObject;
  return [
    { ...configMap, metadata: { ...configMap.metadata, name } },
    { ...daemonSet, metadata: { ...daemonSet.metadata, name } },
  ];
}

/** Gives a node one of the two registries. */
export async function chooseRegistry(node: string, pacing: Pacing): Promise<void> {
  await kubectl(["label", "node", node, `${nodeLabel}=${pacing}`, "--overwrite"]);
}
