import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";
import { runTool } from "./kubernetes-tools.ts";

/** The chart's folder; paths in this module are relative to it. */
export const chart = new URL("../../manifests/chart/", import.meta.url);

/** A file of manifests/ that is rendered from the chart. */
export interface RenderedFile {
  readonly path: string;
  /** Helm's arguments. */
  readonly options: readonly string[];
  /** Its first lines. */
  readonly heading: string;
}

export const renderedFiles: readonly RenderedFile[] = [
  {
    path: "../install.yaml",
    options: ["--set", "createNamespace=true"],
    heading: `# nix-closure with the chart's defaults, for clusters without Helm: kubectl apply --server-side -f install.yaml
# The image is not published; docs/install.md says how to build it, and how to set other values.
# Rendered from manifests/chart by \`npm run manifests\`.`,
  },
  {
    path: "../kind/nix-closure.yaml",
    options: ["--values", fileURLToPath(new URL("../kind/values.yaml", chart))],
    heading: `# nix-closure for the cluster of kind-config.yaml.
# Rendered from manifests/chart with values.yaml by \`npm run manifests\`.`,
  },
];

/** What a rendered file should say. */
export function renderFile(helm: string, file: RenderedFile): string {
  // Helm leaves a blank line where a template ends in one.
  const text = renderChart(helm, file.options).replaceAll(/\n\n+---\n/g, "\n---\n");
  return `${file.heading}\n${text.trimEnd()}\n`;
}

/** What a rendered file says. */
export function readRendered(file: RenderedFile): string {
  return readFileSync(new URL(file.path, chart), "utf8");
}

/**
 * Runs `helm template` as docs/install.md does, with more options.
 * @param values what `--values -` reads.
 */
export function renderChart(helm: string, options: readonly string[], values = ""): string {
  const directory = fileURLToPath(chart);
  return runTool(
    helm,
    ["template", "nix-closure", directory, "--namespace", "nix-closure", ...options],
    values,
  );
}

/** A Kubernetes object, loosely: each test looks at the few fields that it is about. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: unknown;
  readonly [field: string]: unknown;
}

/** The objects of a manifest. */
export function parseManifest(text: string): readonly KubernetesObject[] {
  return parseAllDocuments(text).flatMap((document) => {
    if ("empty" in document) return [];
    const [error] = document.errors;
    if (error !== undefined) throw error;
    const value = document.toJS() as KubernetesObject | null;
    return value === null ? [] : [value];
  });
}

/** The object of this kind and name. */
export function findObject(
  objects: readonly KubernetesObject[],
  kind: string,
  name: string,
  namespace?: string,
): KubernetesObject {
  const found = objects.find(
    (object) =>
      object.kind === kind &&
      object.metadata.name === name &&
      (namespace === undefined || object.metadata.namespace === namespace),
  );
  if (found === undefined) throw new Error(`the manifest has no ${kind} ${name}`);
  return found;
}
