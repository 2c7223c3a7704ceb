import { readFile } from "node:fs/promises";
import Type, { type Static } from "typebox";
import { Value } from "typebox/value";
import { parseDocument } from "yaml";
import { type ClusterConfig, ClusterFile, completeCluster } from "./config-cluster.ts";
import { baseImage, checkReference } from "./config-references.ts";
import { completeSource, nixos, type Source, SourceFile } from "./config-sources.ts";
import { address, size, sizeHint, type ListenAddress } from "./config-values.ts";
import { configInvalid, fileUnreadable, nearest, quote } from "./errors.ts";

const closed = { additionalProperties: false } as const;
const Size = Type.Union([Type.Integer({ minimum: 1 }), Type.String()]);

/** The configuration file as written (docs/configuration.md). */
const ConfigFile = Type.Object(
  {
    // Of any name, with line ends in it too: a plain string would leave those unchecked (its pattern is "^.*$").
    sources: Type.Optional(Type.Record(Type.String({ pattern: "^[^]*$" }), SourceFile, { minProperties: 1 })),
    defaultSource: Type.Optional(Type.String()),
    baseImage: Type.Optional(Type.String()),
    registry: Type.Optional(
      Type.Object(
        {
          enabled: Type.Optional(Type.Boolean()),
          listen: Type.Optional(Type.String()),
          reference: Type.Optional(Type.String()),
          blobs: Type.Optional(
            Type.Object({ directory: Type.Optional(Type.String()), maxBytes: Type.Optional(Size) }, closed),
          ),
        },
        closed,
      ),
    ),
    kubelet: Type.Optional(
      Type.Object(
        {
          registryPullQPS: Type.Optional(Type.Number({ minimum: 0 })),
          registryBurst: Type.Optional(Type.Integer({ minimum: 1 })),
        },
        closed,
      ),
    ),
    plan: Type.Optional(
      Type.Object(
        {
          strategy: Type.Optional(Type.Enum(["auto", "per-path", "packed", "bundle"])),
          maxVolumes: Type.Optional(Type.Integer({ minimum: 1, maximum: 200 })),
          maxPaths: Type.Optional(Type.Integer({ minimum: 1, maximum: 3844 })),
          maxBytes: Type.Optional(Size),
          warnings: Type.Optional(Type.Boolean()),
        },
        closed,
      ),
    ),
    webhook: Type.Optional(
      Type.Object(
        {
          listen: Type.Optional(Type.String()),
          certFile: Type.Optional(Type.String()),
          keyFile: Type.Optional(Type.String()),
          minTLSVersion: Type.Optional(Type.Enum(["1.2", "1.3"])),
        },
        closed,
      ),
    ),
    cluster: Type.Optional(ClusterFile),
    admin: Type.Optional(Type.Object({ listen: Type.Optional(Type.String()) }, closed)),
    log: Type.Optional(
      Type.Object({ level: Type.Optional(Type.Enum(["debug", "info", "warn", "error"])) }, closed),
    ),
  },
  closed,
);
type ConfigFile = Static<typeof ConfigFile>;

export type { ClusterConfig, ListenAddress, Source };

/** Names of PEM files. */
export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** The configuration with all defaults filled in. Sizes are in bytes. */
export interface Config {
  readonly sources: readonly Source[];
  readonly defaultSource: string;
  /** The image that nix.closure/base stands for; undefined: there is none. */
  readonly baseImage: string | undefined;
  readonly registry: {
    /** Whether one of ours answers at the reference on every node. */
    readonly enabled: boolean;
    readonly listen: ListenAddress;
    readonly reference: string;
    readonly blobs: { readonly directory: string; readonly maxBytes: number };
  };
  readonly kubelet: { readonly registryPullQPS: number; readonly registryBurst: number };
  readonly plan: {
    readonly strategy: "auto" | "per-path" | "packed" | "bundle";
    readonly maxVolumes: number;
    readonly maxPaths: number;
    readonly maxBytes: number;
    /** Whether a Pod whose plan is estimated to start far slower than it could gets a warning. */
    readonly warnings: boolean;
  };
  readonly webhook: {
    readonly listen: ListenAddress;
    /** Where the certificate comes from: files, or ourselves with the cluster's help. */
    readonly certificate: CertificateFiles | "own";
    readonly minTLSVersion: "1.2" | "1.3";
  };
  /** The cluster that the webhook works for; undefined: no API server is asked for anything. */
  readonly cluster: ClusterConfig | undefined;
  readonly admin: { readonly listen: ListenAddress };
  readonly log: { readonly level: "debug" | "info" | "warn" | "error" };
}

/**
 * Reads the configuration.
 * @param file undefined for all defaults.
 * @throws fileUnreadable, configInvalid
 */
export async function loadConfig(file: string | undefined): Promise<Config> {
  if (file === undefined) return parseConfig("", "defaults");
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    throw fileUnreadable(file, error instanceof Error ? error.message : String(error)).causedBy(error);
  }
  return parseConfig(text, file);
}

/**
 * Parses the configuration and fills in the defaults.
 * @param name the file's name, for messages.
 * @throws configInvalid with every problem found.
 */
export function parseConfig(text: string, name: string): Config {
  let value: unknown;
  try {
    value = parseYaml(text) ?? {};
  } catch (error) {
    throw configInvalid(name, [`not YAML: ${firstLine(error)}`]).causedBy(error);
  }
  if (!Value.Check(ConfigFile, value)) throw configInvalid(name, schemaProblems(value));
  const problems: string[] = [];
  const config = complete(value, problems);
  if (problems.length > 0) throw configInvalid(name, problems);
  return config;
}

/** Reads YAML. What is a mere warning to the library, such as a tag that nobody knows, is an error here. */
function parseYaml(text: string): unknown {
  const document = parseDocument(text, { logLevel: "error" });
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined) throw problem;
  return document.toJS();
}

function complete(file: ConfigFile, problems: string[]): Config {
  const reference = file.registry?.reference ?? "localhost:5417";
  const sources = Object.entries(file.sources ?? nixos).map(([name, source]) =>
    completeSource(name, source, reference, problems),
  );
  const names = sources.map((source) => source.name);
  const defaultSource = file.defaultSource ?? names[0] ?? "";
  if (file.defaultSource === undefined && names.length > 1) {
    problems.push(
      `defaultSource is missing; with several sources one of them is to be named: ${names.join(", ")}`,
    );
  } else if (!names.includes(defaultSource)) {
    problems.push(
      `defaultSource: there is no source ${quote(defaultSource)}; there are: ${names.join(", ")}`,
    );
  }
  const { registry, webhook, plan, kubelet } = file;
  const enabled = registry?.enabled ?? true;
  const converted = sources.flatMap((source) => ("caches" in source ? source.name : []));
  checkReference(reference, converted, problems);
  return {
    sources,
    defaultSource,
    baseImage: baseImage(file.baseImage, { reference, enabled }, problems),
    registry: {
      enabled,
      listen: address(registry?.listen ?? "localhost:5417", "registry.listen", problems),
      reference,
      blobs: {
        directory: registry?.blobs?.directory ?? "/var/lib/nix-closure",
        maxBytes: size(registry?.blobs?.maxBytes ?? "20Gi", "registry.blobs.maxBytes", problems),
      },
    },
    kubelet: { registryPullQPS: kubelet?.registryPullQPS ?? 5, registryBurst: kubelet?.registryBurst ?? 10 },
    plan: {
      strategy: plan?.strategy ?? "auto",
      maxVolumes: plan?.maxVolumes ?? 48,
      maxPaths: plan?.maxPaths ?? 2000,
      maxBytes: size(plan?.maxBytes ?? "20Gi", "plan.maxBytes", problems),
      warnings: plan?.warnings ?? false,
    },
    webhook: {
      listen: address(webhook?.listen ?? ":10250", "webhook.listen", problems),
      certificate: certificateOrigin(file, problems),
      minTLSVersion: webhook?.minTLSVersion ?? "1.2",
    },
    cluster: file.cluster && completeCluster(file.cluster, problems),
    admin: { listen: address(file.admin?.listen ?? "127.0.0.1:5418", "admin.listen", problems) },
    log: { level: file.log?.level ?? "info" },
  };
}

function certificateOrigin(
  { webhook, cluster }: ConfigFile,
  problems: string[],
): Config["webhook"]["certificate"] {
  const { certFile, keyFile } = webhook ?? {};
  const given = certFile !== undefined || keyFile !== undefined;
  if (cluster === undefined || given) {
    if (cluster !== undefined && (certFile === undefined || keyFile === undefined))
      problems.push("webhook: certFile and keyFile belong together; with cluster, leave out both or none");
    return { certFile: certFile ?? "certs/tls.pem", keyFile: keyFile ?? "certs/tls.key" };
  }
  return "own";
}

/** The schema's complaints in words that name the key. */
function schemaProblems(value: unknown): string[] {
  const problems: string[] = [];
  for (const error of Value.Errors(ConfigFile, value)) {
    const where = error.instancePath.slice(1).replaceAll("/", ".") || "the file";
    if (error.keyword === "additionalProperties") {
      const known = knownKeys(error.instancePath);
      for (const key of error.params.additionalProperties) {
        const full = [error.instancePath.slice(1).replaceAll("/", "."), key].filter(Boolean).join(".");
        problems.push(`unknown key ${full}; did you mean ${nearest(key, known)}?`);
      }
    } else if (error.keyword === "anyOf") problems.push(`${where} ${sizeHint}`);
    else if (error.keyword === "enum")
      problems.push(
        `${where} is not one of: ${error.params.allowedValues.map((allowed) => quote(String(allowed))).join(", ")}`,
      );
    else if (error.keyword !== "boolean" && !error.schemaPath.includes("/anyOf/")) {
      problems.push(`${where} ${error.message}`);
    }
  }
  return [...new Set(problems)];
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n", 1)[0] ?? "";
}

/** The keys that an object of the file may have. */
function knownKeys(instancePath: string): readonly string[] {
  let schema: unknown = ConfigFile;
  for (const segment of instancePath.split("/").slice(1)) {
    const { properties, patternProperties } = schema as {
      properties?: Record<string, unknown>;
      patternProperties?: Record<string, unknown>;
    };
    schema = properties?.[segment] ?? Object.values(patternProperties ?? {})[0];
  }
  return Object.keys((schema as { properties?: Record<string, unknown> } | undefined)?.properties ?? {});
}
