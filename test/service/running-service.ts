import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import type { Agent } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { stringify } from "yaml";
import { loadConfig } from "../../src/config.ts";
import { createLogger } from "../../src/log.ts";
import type { KeyPair } from "../../src/webhook/tls/key-pair.ts";
import type { Role } from "../../src/service/role.ts";
import { startService, type Service } from "../../src/service/service.ts";
import { ReviewClient } from "../webhook/https-client.ts";
import type { TestPair } from "../webhook/made-pair.ts";
import { demoSource, demoUrl } from "./demo-cache.ts";

/** A line of the log. */
export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** A service's files, in a directory that is gone after the test. */
export interface ServiceFiles {
  readonly directory: string;
  readonly configFile: string;
  /** A configuration with the demo's cache as source `demo`, free ports and these files, changed by `changes`. */
  config(changes?: Readonly<Record<string, object | string>>): object;
  /** Writes the configuration file, whole at once. */
  writeConfig(config: object | string): Promise<void>;
  writeCertificate(pair: KeyPair): Promise<void>;
  writeKey(pair: KeyPair): Promise<void>;
}

/** Makes the files of a service; with a pair, its certificate and key too. */
export async function makeFiles(pair: KeyPair | undefined): Promise<ServiceFiles> {
  const directory = await mkdtemp(join(tmpdir(), "nix-closure-service-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const [configFile, certFile, keyFile] = ["nix-closure.yaml", "tls.pem", "tls.key"].map((name) =>
    join(directory, name),
  ) as [string, string, string];
  const replace = async (file: string, text: string): Promise<void> => {
    await writeFile(`${file}.new`, text);
    await rename(`${file}.new`, file);
  };
  const files: ServiceFiles = {
    directory,
    configFile,
    config: (changes = {}) => ({
      sources: { demo: demoSource(demoUrl) },
      registry: {
        listen: "127.0.0.1:0",
        blobs: { directory: join(directory, "blobs"), maxBytes: "1Gi" },
      },
      webhook: { listen: "127.0.0.1:0", certFile, keyFile },
      // Who pulls here is no kubelet.
      kubelet: { registryPullQPS: 0 },
      admin: { listen: "127.0.0.1:0" },
      ...changes,
    }),
    writeConfig: async (config) =>
      replace(configFile, typeof config === "string" ? config : stringify(config)),
    writeCertificate: async (next) => replace(certFile, next.certificatePem),
    writeKey: async (next) => replace(keyFile, next.keyPem),
  };
  await files.writeConfig(files.config());
  if (pair !== undefined) {
    await files.writeCertificate(pair);
    await files.writeKey(pair);
  }
  return files;
}

export interface RunningService {
  readonly service: Service;
  readonly log: LogLine[];
  /** An answer of the admin server. */
  readonly admin: (path: string) => Promise<{ readonly status: number; readonly body: string }>;
  /** The value of one series, whose labels may come in any order; undefined if there is none. */
  readonly metric: (series: string) => Promise<number | undefined>;
  /** Posts reviews to the webhook, believing these CAs. */
  readonly client: (ca: readonly string[], agent?: Agent) => ReviewClient;
  /** URL of the registry. */
  readonly registry: string;
}

/** Starts a service from its files. It ends with the test. */
export async function run(
  files: ServiceFiles,
  role: Role = "all",
  signal?: AbortSignal,
): Promise<RunningService> {
  const log: LogLine[] = [];
  const service = await startService({
    config: await loadConfig(files.configFile),
    configFile: files.configFile,
    role,
    version: "1.2.3",
    ...(signal === undefined ? {} : { signal }),
    log: createLogger({
      level: "debug",
      destination: { write: (line) => log.push(JSON.parse(line) as LogLine) },
    }),
  });
  onTestFinished(() => service.close());
  const { ports } = service;
  const admin = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${ports.admin}${path}`);
    return { status: response.status, body: await response.text() };
  };
  return {
    service,
    log,
    admin,
    async metric(series) {
      const { body } = await admin("/metrics");
      const wanted = sortLabels(`nix_closure_${series}`);
      const line = body.split("\n").find((each) => sortLabels(each.replace(/ \S+$/, "")) === wanted);
      return line === undefined ? undefined : Number(line.split(" ").at(-1));
    },
    client: (ca, agent) =>
      new ReviewClient(ports.webhook ?? 0, { ca: [...ca], ...(agent === undefined ? {} : { agent }) }),
    registry: `http://127.0.0.1:${ports.registry}`,
  };
}

function sortLabels(series: string): string {
  const [name, labels = ""] = series.split(/[{}]/);
  return `${name} ${labels.split(",").sort().join()}`;
}

/** A service of these files' default configuration with this pair. */
export async function runWith({ pair }: TestPair, role: Role = "all"): Promise<RunningService> {
  return run(await makeFiles(pair), role);
}
