import { chmod, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { cacheDirectory } from "./cache.ts";
import { run } from "./command.ts";
import { type Engine, machineEngine, ownEngine } from "./engine.ts";
import { kubeconfig } from "./kind.ts";

/** What is known of the cluster that `cluster:up` made. */
export interface Cluster {
  readonly name: string;
  /** Of Kubernetes, "1.36.3". */
  readonly version: string;
  readonly engine: Engine["kind"];
  readonly nodeImage: string;
}

/** Where kubectl and kind of the running cluster are. */
export const programsDirectory = join(cacheDirectory, "bin");

const stateFile = join(cacheDirectory, "cluster.json");

/** Writes down what there is, for `cluster:down` and the suite. */
export async function recordCluster(cluster: Cluster): Promise<void> {
  await writeFile(stateFile, JSON.stringify(cluster));
}

/** undefined: `cluster:up` has made none, or `cluster:down` has taken it away. */
export async function recordedCluster(): Promise<Cluster | undefined> {
  const text = await readFile(stateFile, "utf8").catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Cluster);
}

/** Forgets the cluster. */
export async function forgetCluster(): Promise<void> {
  await rm(stateFile, { force: true });
}

/** The daemon that the recorded cluster runs in. */
export function engineOf({ engine }: Pick<Cluster, "engine">): Engine {
  return engine === "own" ? ownEngine : machineEngine;
}

/** Puts a program into {@link programsDirectory}, as a link. */
export async function linkProgram(name: string, program: string): Promise<void> {
  await mkdir(programsDirectory, { recursive: true });
  const link = join(programsDirectory, name);
  await rm(link, { force: true });
  await symlink(program, link);
}

/** Takes kubectl out of a node, where it was not built here. */
export async function copyKubectl(engine: Engine, node: string): Promise<void> {
  await mkdir(programsDirectory, { recursive: true });
  const target = join(programsDirectory, "kubectl");
  await rm(target, { force: true });
  await run("docker", ["cp", `${node}:/usr/bin/kubectl`, target], { env: engine.environment });
  await chmod(target, 0o755);
}

/** An environment in which kubectl, kind and docker find the cluster, on top of this process's one. */
export function clusterEnvironment(engine: Engine): Readonly<Record<string, string>> {
  return {
    ...engine.environment,
    KUBECONFIG: kubeconfig,
    PATH: [programsDirectory, process.env["PATH"] ?? ""].join(delimiter),
  };
}
