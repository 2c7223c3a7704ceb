import type { StorePath } from "../nix/store-path.ts";
import type { KubeletLimits } from "../plan/budget.ts";
import { estimateStart, kubelets, type StartLoad } from "../plan/estimate.ts";
import { findNamedPath } from "../plan/named-path.ts";
import type { Plan, PlannedVolume } from "../plan/plan.ts";
import { presentImages, type Presence } from "../plan/shared-images.ts";
import { shortestChain } from "../plan/shortest-chain.ts";

/** What `nix-closure plan` has to say. As JSON it is the command's stable form (docs/cli.md). Sizes are in bytes. */
export interface PlanView {
  readonly source: string;
  readonly strategy: string;
  readonly volumes: readonly VolumeView[];
  readonly storePaths: number;
  readonly narSize: number;
  readonly estimate: StartView;
  /** Only with other roots. */
  readonly shared?: SharedView;
  /** Only if it was asked for. */
  readonly why?: WhyView;
}

/** One image volume. */
export interface VolumeView {
  readonly name: string;
  readonly reference: string;
  readonly mountPath: string;
  readonly storePaths: readonly StorePath[];
  readonly narSize: number;
  /** What a node that runs the other roots has of it; only with other roots. */
  readonly present?: Presence;
}

/** Estimated starts, in seconds. */
export interface StartView {
  /** Neither the node nor its registry has anything, by the kubelet's limits. */
  readonly coldSeconds: ByKubelet;
  /** The node has all images. */
  readonly warmSeconds: number;
}

/** Seconds on a kubelet as it comes, on one with registryPullQPS 0, and on one as the configuration says. */
export interface ByKubelet {
  readonly stock: number;
  readonly tuned: number;
  readonly configured: number;
}

/** What a node that runs the other roots has, and what it would still pull. */
export interface SharedView {
  /** The other roots, each list one Pod. */
  readonly with: readonly (readonly StorePath[])[];
  /** Images that the node has, and the bytes that it need not pull. */
  readonly images: number;
  readonly narSize: number;
  readonly toPull: { readonly images: number; readonly narSize: number };
  /** The start on that node, in seconds. */
  readonly startSeconds: ByKubelet;
}

/** Why a path is in the closure. */
export interface WhyView {
  readonly storePath: StorePath;
  /** Name of the volume that carries it. */
  readonly volume: string;
  /** From a root to the path; each refers to the next. */
  readonly chain: readonly StorePath[];
}

/**
 * What there is to say about a plan.
 * @param others plans that a node runs already; empty: nobody asked.
 * @param why the path to explain, as a person writes it.
 * @throws pathNotInClosure, pathAmbiguous
 */
export function viewPlan(
  plan: Plan,
  { others, why, kubelet }: { others: readonly Plan[]; why: string | undefined; kubelet: KubeletLimits },
): PlanView {
  const { source, strategy, volumes, closure } = plan;
  const present = others.length === 0 ? undefined : presentImages(plan, others);
  return {
    source,
    strategy,
    volumes: volumes.map(({ name, reference, mountPath, storePaths, narSize }, i) => {
      const presence = present?.[i];
      return {
        name,
        reference,
        mountPath,
        storePaths,
        narSize,
        ...(presence === undefined ? {} : { present: presence }),
      };
    }),
    storePaths: closure.paths.length,
    narSize: closure.narSize,
    estimate: {
      coldSeconds: byKubelet(loadOf(volumes), kubelet),
      warmSeconds: seconds({ ...nothing, presentImages: volumes.length }, kubelet),
    },
    ...(present === undefined ? {} : { shared: viewShared(plan, present, others, kubelet) }),
    ...(why === undefined ? {} : { why: viewWhy(plan, why) }),
  };
}

function viewShared(
  { volumes }: Plan,
  present: readonly Presence[],
  others: readonly Plan[],
  kubelet: KubeletLimits,
): SharedView {
  const pulled = volumes.filter((_, i) => present[i] !== "image");
  const missing = volumes.filter((_, i) => present[i] === "nothing");
  const images = volumes.length - pulled.length;
  const { pushedImages } = loadOf(pulled);
  const load = { ...loadOf(missing), images: pulled.length, pushedImages, presentImages: images };
  return {
    with: others.map((other) => other.closure.roots),
    images,
    narSize: loadOf(volumes).narBytes - load.narBytes,
    toPull: { images: pulled.length, narSize: load.narBytes },
    startSeconds: byKubelet(load, kubelet),
  };
}

function viewWhy({ closure, volumes }: Plan, why: string): WhyView {
  const storePath = findNamedPath(closure, why);
  const volume = volumes.find((candidate) => candidate.storePaths.includes(storePath))?.name ?? "";
  return { storePath, volume, chain: shortestChain(closure, storePath) };
}

const nothing: StartLoad = { images: 0, storePaths: 0, narBytes: 0, presentImages: 0 };

/** What a node has to do that has none of the volumes' images. */
function loadOf(volumes: readonly PlannedVolume[]): Required<StartLoad> {
  return {
    images: volumes.length,
    pushedImages: volumes.filter(({ image }) => image.kind === "pushed").length,
    storePaths: volumes.reduce((sum, volume) => sum + volume.storePaths.length, 0),
    narBytes: volumes.reduce((sum, volume) => sum + volume.narSize, 0),
    presentImages: 0,
  };
}

function byKubelet(load: StartLoad, configured: KubeletLimits): ByKubelet {
  return {
    stock: seconds(load, kubelets.stock),
    tuned: seconds(load, kubelets.tuned),
    configured: seconds(load, configured),
  };
}

/** An estimate is not worth more than two decimals. */
function seconds(load: StartLoad, kubelet: KubeletLimits): number {
  return Math.round(estimateStart(load, kubelet) * 100) / 100;
}
