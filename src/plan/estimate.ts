import { pace, type KubeletLimits } from "./budget.ts";

/** A kubelet as it comes (KubeletConfiguration v1beta1), and one that is told not to limit pulls. */
export const kubelets = {
  stock: { registryPullQPS: 5, registryBurst: 10 },
  tuned: { registryPullQPS: 0, registryBurst: 10 },
} as const satisfies Readonly<Record<string, KubeletLimits>>;

/** What a node has to do before a Pod's containers start. */
export interface StartLoad {
  /** Image volumes whose images the node pulls. */
  readonly images: number;
  /** Of these, the ones in an ordinary registry, which holds no pull back. Default: none. */
  readonly pushedImages?: number;
  /** Store paths in those images that are fetched and converted. */
  readonly storePaths: number;
  /** Their NarSize, in bytes. */
  readonly narBytes: number;
  /** Image volumes whose images the node has. */
  readonly presentImages: number;
}

/** What the parts of a start cost. */
export interface StartCosts {
  /** A Pod without image volumes: scheduling, sandbox, the container's own image on the node. */
  readonly fixedSeconds: number;
  /** One more image to pull, whatever its size. */
  readonly imageSeconds: number;
  /** One more store path to fetch and convert, whatever its size. */
  readonly storePathSeconds: number;
  /** One more byte of NAR: fetched, converted, sent, unpacked. */
  readonly byteSeconds: number;
  /** One more volume whose image the node has. */
  readonly presentImageSeconds: number;
}

/**
 * The costs that docs/performance.md, pod-start, measured: from `kubectl apply` to containers that run, where neither the
 * node nor its registry has anything and the caches are near. A path takes no time beside its image's and its bytes'.
 */
export const startCosts: StartCosts = {
  fixedSeconds: 0.7,
  imageSeconds: 0.045,
  storePathSeconds: 0,
  byteSeconds: 1 / 100e6,
  presentImageSeconds: 0.01,
};

/**
 * Estimates how long a Pod takes to start, in seconds. What our registry's pacing holds back overlaps with the pulls that
 * go on meanwhile, so the longer of the two counts; what a kubelet's back-off adds overlaps with nothing.
 */
export function estimateStart(
  load: StartLoad,
  kubelet: KubeletLimits,
  costs: StartCosts = startCosts,
): number {
  const pulling =
    load.images * costs.imageSeconds +
    load.storePaths * costs.storePathSeconds +
    load.narBytes * costs.byteSeconds;
  const mounting = load.presentImages * costs.presentImageSeconds;
  const pulled = Math.max(pulling, pacedSeconds(load, kubelet));
  return costs.fixedSeconds + mounting + pulled + backOffSeconds(load, kubelet, costs);
}

/** How long our registry's pacing spreads the pulls of a Pod over, in seconds. */
function pacedSeconds({ images, pushedImages = 0 }: StartLoad, kubelet: KubeletLimits): number {
  const { rate, burst } = pace(kubelet);
  return rate === 0 ? 0 : Math.max(0, images - pushedImages - burst) / rate;
}

/**
 * A kubelet comes back to a Pod after 10 seconds and up to half of that (pkg/kubelet/pod_workers.go), and to an image
 * after twice as many each time, up to 300 (pkg/kubelet/kubelet.go).
 */
const firstBackOffSeconds = 12.5;
const maxBackOffSeconds = 300;

/**
 * How long a kubelet waits between its attempts at images that nobody paces, in seconds: an attempt gets its burst, and
 * what comes back meanwhile, and fails for all others.
 */
function backOffSeconds(
  { images, pushedImages = 0 }: StartLoad,
  kubelet: KubeletLimits,
  { imageSeconds }: StartCosts,
): number {
  const { registryPullQPS, registryBurst } = kubelet;
  if (registryPullQPS === 0) return 0;
  // A pull that takes as long as a token needs to come back takes none.
  const tokensForPull = Math.max(1e-3, 1 - registryPullQPS * imageSeconds);
  const burstOf = (tokens: number): number => Math.max(1, Math.floor(tokens / tokensForPull));
  let left = pushedImages - burstOf(registryBurst - Math.min(images - pushedImages, pace(kubelet).burst));
  let seconds = 0;
  for (let wait = firstBackOffSeconds; left > 0; wait = Math.min(2 * wait, maxBackOffSeconds)) {
    seconds += wait;
    left -= burstOf(registryBurst);
  }
  return seconds;
}
