/** The cluster in the configuration file. What is wrong with it goes to `problems`, after its key. */
import Type, { type Static } from "typebox";
import { duration, isObjectName } from "./config-values.ts";
import { quote } from "./errors.ts";

/** The cluster as written. */
export const ClusterFile = Type.Object(
  {
    namespace: Type.Optional(Type.String()),
    service: Type.Optional(Type.String()),
    webhookConfiguration: Type.Optional(Type.String()),
    secret: Type.Optional(Type.String()),
    caValidity: Type.Optional(Type.String()),
    certificateValidity: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
);
export type ClusterFile = Static<typeof ClusterFile>;

/** Our objects in the cluster, and the life of the certificates that we make there. */
export interface ClusterConfig {
  readonly namespace: string;
  readonly service: string;
  readonly webhookConfiguration: string;
  readonly secret: string;
  /** Milliseconds. */
  readonly caValidityMs: number;
  /** Milliseconds. */
  readonly certificateValidityMs: number;
}

/** A third of it is left when the next authority is made, which then takes 30 s and some to be trusted. Milliseconds. */
const shortestCaMs = 300_000;

/** Checks what is written, and fills in the defaults. */
export function completeCluster(cluster: ClusterFile, problems: string[]): ClusterConfig {
  const validity = (text: string, key: string) => duration(text, `cluster.${key}`, problems);
  const caValidityMs = validity(cluster.caValidity ?? "365d", "caValidity");
  const certificateValidityMs = validity(cluster.certificateValidity ?? "7d", "certificateValidity");
  if (certificateValidityMs > caValidityMs)
    problems.push("cluster.certificateValidity is longer than cluster.caValidity");
  if (caValidityMs < shortestCaMs)
    problems.push("cluster.caValidity is too short: a change takes some time, so at least 5m");
  const names = {
    namespace: cluster.namespace ?? "nix-closure",
    service: cluster.service ?? "nix-closure-webhook",
    webhookConfiguration: cluster.webhookConfiguration ?? "nix-closure",
    secret: cluster.secret ?? "nix-closure-ca",
  };
  for (const [key, name] of Object.entries(names)) {
    if (!isObjectName(name)) problems.push(`cluster.${key}: ${quote(name)} is not a name in Kubernetes`);
  }
  return { ...names, caValidityMs, certificateValidityMs };
}
