import type { Logger } from "pino";
import { imageVolumesUnsupported, type NixClosureError } from "../errors.ts";
import { unrefTimers, type Timers } from "../reload.ts";
import type { ApiServer } from "./api-server.ts";
import { imageVolumeGate, needsGate, supportsImageVolumes } from "./image-volumes.ts";
import { createReconciler } from "./reconciler.ts";

/** An upgrade of the control plane is seen in this time. Milliseconds. */
const intervalMs = 60_000;
/** The gate is asked for again after so many looks at the same version: the metrics of a large cluster are many. */
const looksBetweenGates = 10;

/** What the API server does with image volumes. */
export interface Guard {
  /** Why Pods are not to be patched now; undefined: they may be. */
  refusal(): NixClosureError | undefined;
  close(): void;
}

export interface GuardOptions {
  readonly api: Pick<ApiServer, "version" | "featureGate">;
  /** Told after each look: true, or why Pods are refused. */
  readonly onState: (state: true | string) => void;
  /** Told why nothing is known yet. */
  readonly onUnknown: (error: unknown) => void;
  readonly log: Logger;
  readonly timers?: Timers;
}

/**
 * Watches the API server's version, and where that is not enough its feature gate: with the gate off, it would take our
 * volumes out of the Pods again without a word.
 */
export function guardImageVolumes({ api, onState, onUnknown, log, timers }: GuardOptions): Guard {
  let refusal: NixClosureError | undefined;
  let seen: string | undefined;
  let gate: { readonly version: string; readonly state: boolean | undefined; looks: number } | undefined;

  async function askGate(version: string): Promise<boolean | undefined> {
    if (!needsGate(version)) return undefined;
    if (gate?.version === version && gate.looks++ < looksBetweenGates) return gate.state;
    try {
      gate = { version, state: await api.featureGate(imageVolumeGate), looks: 0 };
      return gate.state;
    } catch (error) {
      log.warn({ err: error }, `feature gate ${imageVolumeGate} cannot be read`);
      return undefined;
    }
  }

  async function look(): Promise<void> {
    const version = await api.version();
    const support = supportsImageVolumes(version, await askGate(version));
    refusal = support.refusal === undefined ? undefined : imageVolumesUnsupported(support.refusal);
    onState(refusal?.message ?? true);
    const now = JSON.stringify([version, support]);
    if (now === seen) return;
    seen = now;
    if (refusal !== undefined) log.error({ err: refusal, kubernetes: version }, "Pods are refused");
    else log.info({ kubernetes: version, assumed: support.assumed ?? false }, "image volumes are supported");
  }

  const reconciler = createReconciler({
    work: look,
    onError(error) {
      log.warn({ err: error }, "the API server's version is not known, trying again");
      if (seen === undefined) onUnknown(error);
    },
    intervalMs,
    timers: timers ?? unrefTimers,
  });
  void reconciler.run();
  return { refusal: () => refusal, close: () => reconciler.close() };
}
