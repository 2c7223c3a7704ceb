import type { Config } from "../config.ts";
import type { SourceConfig } from "../resolver/resolver.ts";
import type { AdmissionSettings } from "../webhook/admission.ts";

/** The configuration's part that admission needs. */
export function admissionSettings(config: Config): AdmissionSettings {
  return {
    sources: config.sources,
    defaultSource: config.defaultSource,
    host: config.registry.reference,
    strategy: config.plan.strategy,
    maxVolumes: config.plan.maxVolumes,
    kubelet: config.kubelet,
    // Two images of this size can be made at once without waiting for each other.
    maxImageBytes: Math.floor(config.registry.blobs.maxBytes / 2),
    slowStartWarnings: config.plan.warnings,
  };
}

/** The configuration's part that the resolver needs. */
export function resolverOptions(config: Config): {
  readonly sources: readonly SourceConfig[];
  readonly limits: { readonly maxPaths: number; readonly maxBytes: number };
} {
  return {
    sources: config.sources,
    limits: { maxPaths: config.plan.maxPaths, maxBytes: config.plan.maxBytes },
  };
}
