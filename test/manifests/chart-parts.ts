import { parseConfig, type Config } from "../../src/config.ts";
import { findObject, parseManifest, renderChart, type KubernetesObject } from "./chart.ts";
import { kubernetesTools } from "./kubernetes-tools.ts";
import { podSpecs, type Container, type PodSpec } from "./pod-specs.ts";

/** The objects of the chart with some values. */
export function render(values: object): readonly KubernetesObject[] {
  return parseManifest(renderChart(kubernetesTools()!.helm, ["--values", "-"], JSON.stringify(values)));
}

/** The Pod of a part. */
export function podOf(objects: readonly KubernetesObject[], name: string): PodSpec {
  const found = podSpecs(objects).find(({ object }) => object.metadata.name === name);
  if (found === undefined) throw new Error(`there is no Pod of ${name}`);
  return found.spec;
}

/** The container of a Pod that has one. */
export function only(spec: PodSpec): Container {
  const [container, second] = spec.containers;
  if (container === undefined || second !== undefined) throw new Error("the Pod has not one container");
  return container;
}

/** The configuration of the part in a namespace, as the part reads it. */
export function configOf(objects: readonly KubernetesObject[], namespace: string): Config {
  const { data } = findObject(objects, "ConfigMap", "nix-closure-config", namespace);
  const text = (data as Record<string, string>)["nix-closure.yaml"]!;
  return parseConfig(text, `ConfigMap of ${namespace}`);
}
