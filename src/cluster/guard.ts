import type { Logger } from "pino";
import { imageVolumesUnsupported, type NixClosureError } from "../errors.ts";
import { unrefTimers, type Timers } from "../reload.ts";
import type { ApiServer } from "./api-server.ts";
import { imageVolumeGate, needsGate, supportsImageVolumes } from "./image-volumes.ts";
import { createReconciler } from "./reconciler.ts";

/** An upgrade of the control plane is seen in this time. Milliseconds. */
const intervalMs = 60_000;

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
  readonly log: Logger;
  readonly timers?: Timers;
}

/**
 * Watches the API server's version, and where that is not enough its feature gate: with the gate off, it would take our
 * volumes out of the Pods again without a word.
 */
export function guardImageVolumes({ api, onState, log, timers }: GuardOptions): Guard {
  let refusal: NixClosureError | undefined;
  let seen: string | undefined;

  async function look(): Promise<void> {
    const version = await api.version();
    const gate = needsGate(version) ? await api.featureGate(imageVolumeGate) : undefined;
    const support = supportsImageVolumes(version, gate);
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
    onError: (error) => log.warn({ err: error }, "the API server's version is not known, trying again"),
    intervalMs,
    timers: timers ?? unrefTimers,
  });
  void reconciler.run();
  return { refusal: () => refusal, close: () => reconciler.close() };
}
