import { parseAllDocuments, stringify } from "yaml";
import { hello, mixed, nginx, python } from "../service/demo-cache.ts";
import type { Pod } from "../../src/patch/pod.ts";
import { edgesRoot } from "./edges-cache.ts";
import { nixClosure } from "./registry.ts";

/** What `nix-closure resolve --json` says of a closure. */
interface ResolvedClosure {
  readonly paths: readonly { readonly storePath: string }[];
}

/** Closures by name; the last one is `edges-cache.ts`'s. */
const roots = { hello, nginx, python, mixed, edges: `edges:${edgesRoot}` };
export type ClosureName = keyof typeof roots;
export const strategies = ["per-path", "bundle"] as const;
export type Strategy = (typeof strategies)[number];

/** A Pod as the webhook makes it, and the store paths that its container is to have. */
export interface InjectedPod {
  readonly closure: ClosureName;
  readonly strategy: Strategy;
  readonly storePaths: readonly string[];
  readonly pod: Pod;
}

/**
 * Injects a Pod without an image of its own for each closure and strategy.
 *
 * @param names of closures that the sources of the configuration have
 */
export async function injectPods(
  configFile: string,
  names: readonly ClosureName[] = Object.keys(roots) as ClosureName[],
): Promise<readonly InjectedPod[]> {
  const wanted = names.flatMap((closure) => strategies.map((strategy) => ({ closure, strategy })));
  const manifest = wanted.map((pod) => stringify(podOf(pod))).join("---\n");
  const injected = await nixClosure(["inject", "--config", configFile, "-f", "-"], manifest);
  const pods = parseAllDocuments(injected).map((document) => document.toJS() as Pod);
  const closures = new Map(
    await Promise.all(
      names.map(async (name) => {
        const text = await nixClosure(["resolve", "--json", "--config", configFile, roots[name]]);
        return [name, (JSON.parse(text) as ResolvedClosure).paths.map(({ storePath }) => storePath)] as const;
      }),
    ),
  );
  return wanted.map(({ closure, strategy }, index) => {
    const pod = pods[index];
    if (pod === undefined) throw new Error(`${pods.length} Pods instead of ${wanted.length}: ${injected}`);
    return { closure, strategy, storePaths: closures.get(closure) ?? [], pod };
  });
}

function podOf({ closure, strategy }: { closure: ClosureName; strategy: Strategy }): object {
  const annotations = { "nix.closure": roots[closure], "nix.closure/strategy": strategy };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: closure, annotations },
    spec: { containers: [{ name: "app", image: "nix.closure/base" }] },
  };
}

/** An image of a plan, and the tree that it is to have. */
export type PlannedImage =
  | { readonly kind: "base"; readonly reference: string }
  /** The content of one store path. */
  | { readonly kind: "path"; readonly reference: string; readonly storePath: string }
  /** Store paths, and empty directories for those that have volumes of their own. */
  | {
      readonly kind: "store";
      readonly reference: string;
      readonly storePaths: readonly string[];
      readonly mountPoints: readonly string[];
    };

/** Where the container of a Pod has its image volumes: mount path and reference. */
export function mountsOf(pod: Pod): readonly { readonly mountPath: string; readonly reference: string }[] {
  const references = new Map(
    (pod.spec.volumes ?? []).map(({ name, image }) => [name, image?.reference ?? ""]),
  );
  return (pod.spec.containers[0]?.volumeMounts ?? []).map(({ name, mountPath }) => ({
    mountPath,
    reference: references.get(name) ?? "",
  }));
}

/** Every image of these Pods once. */
export function imagesOf(pods: readonly Pick<InjectedPod, "pod" | "storePaths">[]): readonly PlannedImage[] {
  const images = new Map<string, PlannedImage>();
  for (const { pod, storePaths } of pods) {
    const base = pod.spec.containers[0]?.image ?? "";
    images.set(base, { kind: "base", reference: base });
    const mounts = mountsOf(pod);
    const mountPoints = mounts.map(({ mountPath }) => mountPath).filter((path) => storePaths.includes(path));
    for (const { mountPath, reference } of mounts) {
      if (mountPath === "/nix/store") {
        const packed = storePaths.filter((path) => !mountPoints.includes(path));
        images.set(reference, { kind: "store", reference, storePaths: packed, mountPoints });
      } else if (mountPoints.includes(mountPath)) {
        images.set(reference, { kind: "path", reference, storePath: mountPath });
      }
    }
  }
  return [...images.values()];
}
