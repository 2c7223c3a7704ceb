/** What the nodes' kubelets run with, as in their KubeletConfiguration. */
export interface KubeletLimits {
  /** Pulls a second, averaged; 0: as many as there are. */
  readonly registryPullQPS: number;
  /** Pulls that may come at once. */
  readonly registryBurst: number;
}

/**
 * The images that a Pod's closures may have, so that a kubelet whose bucket is full pulls all of the Pod's images
 * without refusing one: its burst, less the Pod's other images, less one in reserve for another Pod's.
 *
 * @param otherImages distinct images of the Pod that are not of its closures.
 * @returns at least 0; Infinity where the kubelet counts no pulls.
 * @see k8s.io/kubernetes/pkg/kubelet/images/helpers.go, throttledImageService: a pull beyond the bucket fails.
 */
export function pullBudget({ registryPullQPS, registryBurst }: KubeletLimits, otherImages: number): number {
  return registryPullQPS === 0 ? Infinity : Math.max(0, registryBurst - otherImages - 1);
}

/** Slower than the kubelet by this: what other registries' pulls have taken of its bucket comes back. */
const paceShare = 0.95;
/** Pulls of a burst that are left to others. */
const paceReserve = 2;

/**
 * The pulls that a registry lets through, so that a kubelet with these limits refuses none of them.
 *
 * @returns pulls a second, 0: as many as there are; and pulls that may come at once.
 */
export function pace({ registryPullQPS, registryBurst }: KubeletLimits): {
  readonly rate: number;
  readonly burst: number;
} {
  return { rate: registryPullQPS * paceShare, burst: Math.max(0, registryBurst - paceReserve) };
}
