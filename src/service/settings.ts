import type { Config, Source } from "../config.ts";
import type { SourceConfig } from "../resolver/resolver.ts";
import type { AdmissionSettings } from "../webhook/admission.ts";

/** The configuration's part that admission needs. */
export function admissionSettings(config: Config): AdmissionSettings {
  return {
    sources: config.sources.map((source) => {
      const { name, namespaces } = source;
      if (!("registry" in source)) return { name, namespaces };
      return { name, namespaces, repository: source.registry, pullSecret: source.pullSecret };
    }),
    defaultSource: config.defaultSource,
    host: config.registry.reference,
    hasRegistry: config.registry.enabled,
    baseImage: config.baseImage,
    strategy: config.plan.strategy,
    maxVolumes: config.plan.maxVolumes,
    kubelet: config.kubelet,
    // Two images of this size can be made at once without waiting for each other.
    maxImageBytes: Math.floor(config.registry.blobs.maxBytes / 2),
    slowStartWarnings: config.plan.warnings,
  };
}

/** The configuration's part that the resolver needs. The rest can change, and what was resolved stays known. */
export function resolverOptions(config: Config): {
  readonly sources: readonly SourceConfig[];
  readonly limits: { readonly maxPaths: number; readonly maxBytes: number };
} {
  return {
    sources: config.sources.map(sourceConfig),
    limits: { maxPaths: config.plan.maxPaths, maxBytes: config.plan.maxBytes },
  };
}

function sourceConfig(source: Source): SourceConfig {
  if ("caches" in source) {
    const { namespaces: _namespaces, ...config } = source;
    return config;
  }
  const { namespaces: _namespaces, pullSecret: _pullSecret, ...config } = source;
  return config;
}
