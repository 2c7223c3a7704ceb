import type { GoModule } from "./go-module.ts";

/** github.com/distribution/distribution, the registry that most others are made from. Its program is `registry`. */
export const distribution = {
  name: "distribution",
  module: "github.com/distribution/distribution/v3",
  version: "v3.1.2",
  packages: ["./cmd/registry"],
} as const satisfies GoModule;

/** It has nobody to tell what it does. */
export const distributionEnvironment = { OTEL_TRACES_EXPORTER: "none" } as const;
