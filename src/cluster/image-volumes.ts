/** Kubernetes keeps image volumes for certain from this minor version on: the gate is GA and locked. */
const lockedMinor = 36;
/** From here on the gate is on unless somebody turned it off. */
const defaultMinor = 35;
/** The gate is known from here on. */
const firstMinor = 31;

/** Kubernetes' feature gate (KEP-4639; pkg/features/kube_features.go). */
export const imageVolumeGate = "ImageVolume";

/** Whether a server keeps the image volumes of Pods. */
export interface Support {
  /** Why not, in words; undefined: it does, as far as can be known. */
  readonly refusal?: string;
  /** True: it rests on the version's default, since the gate could not be read. */
  readonly assumed?: boolean;
}

/** Whether the gate's state is needed to tell. */
export function needsGate(version: string): boolean {
  const minor = minorOf(version);
  return minor !== undefined && minor >= firstMinor && minor < lockedMinor;
}

/**
 * Whether an API server keeps image volumes, or drops them and their mounts without a word, as it does with the feature
 * gate ImageVolume off (pkg/api/pod/util.go, dropImageVolumes).
 *
 * @param version as the server says it, for instance `v1.35.4-gke.100`.
 * @param gate undefined: not readable.
 */
export function supportsImageVolumes(version: string, gate: boolean | undefined): Support {
  const minor = minorOf(version);
  if (minor === undefined) return { assumed: true };
  if (minor >= lockedMinor) return {};
  if (minor < firstMinor) return { refusal: `Kubernetes ${version} has no image volumes` };
  if (gate === true) return {};
  if (gate === false)
    return { refusal: `Kubernetes ${version} drops image volumes: its feature gate ImageVolume is off` };
  if (minor >= defaultMinor) return { assumed: true };
  return {
    refusal: `Kubernetes ${version} drops image volumes unless its feature gate ImageVolume is on, which cannot be read here`,
  };
}

/** The minor version of a 1.x; undefined for what is not understood, for instance a 2.0. */
function minorOf(version: string): number | undefined {
  const minor = /^v?1\.(\d+)(?:\D|$)/.exec(version)?.[1];
  return minor === undefined ? undefined : Number(minor);
}

/**
 * A feature gate's state, if this line of a Kubernetes component's metrics has it
 * (component-base/metrics/prometheus/feature): `kubernetes_feature_enabled{name="ImageVolume",stage="BETA"} 1`.
 */
export function gateInLine(line: string, name: string): boolean | undefined {
  const value = /^kubernetes_feature_enabled\{(.*)\} ([01])$/.exec(line);
  return value?.[1]?.split(",").includes(`name="${name}"`) === true ? value[2] === "1" : undefined;
}
