import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { chmod, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { cacheDirectory } from "./cache.ts";
import { apart, childEnvironment, run, succeeds } from "./command.ts";
import type { Host } from "./host.ts";
import { recordNetworkState } from "./network-state.ts";

/** Files of the own Docker daemon. */
export const dockerFiles = {
  socket: join(cacheDirectory, "docker.sock"),
  pid: join(cacheDirectory, "docker.pid"),
  /** Written by the daemon, which has another number in its own namespace. */
  innerPid: join(cacheDirectory, "docker-inner.pid"),
  log: join(cacheDirectory, "docker.log"),
  config: join(cacheDirectory, "docker.json"),
  data: join(cacheDirectory, "docker"),
  run: join(cacheDirectory, "docker-run"),
} as const;

/** Below this control group the own daemon puts its containers. */
export const controlGroup = "nix-closure-cluster";

/** By which docker and kind find the own daemon; legacy builder: the other one is not part of Debian's package. */
export const dockerEnvironment = {
  DOCKER_HOST: `unix://${dockerFiles.socket}`,
  DOCKER_BUILDKIT: "0",
} as const;

/** From the start of the daemon until it answers: a slow disk takes its time with the databases. Milliseconds. */
const startMs = 120_000;
/** What is removed before each start, since a daemon that was killed may have left it half-written: all is made again. */
const removedBefore = [[], [join(dockerFiles.data, "network")], [dockerFiles.data]];

/**
 * Starts a Docker daemon of our own, which has its data, state and socket in the cache. Its processes and mounts are in
 * namespaces of their own, so that none of them outlives it.
 *
 * @returns whether it was started, false: it runs already
 * @throws Error with the end of its log if it does not start
 */
export async function startDocker(host: Host): Promise<boolean> {
  // First, also for a daemon that runs already: its runtime is a script that leads into a clone, perhaps one that is gone.
  const settings = await daemonConfig(host);
  if (await answers()) return false;
  await recordNetworkState();
  await writeFile(dockerFiles.config, JSON.stringify(settings, undefined, 2));
  for (const removed of removedBefore) {
    await removeState();
    for (const directory of removed) await rm(directory, { recursive: true, force: true });
    await mkdir(dockerFiles.data, { recursive: true });
    if (await startDaemon()) return true;
  }
  const lines = (await readFile(dockerFiles.log, "utf8")).trim().split("\n");
  throw new Error(`dockerd does not start:\n${lines.slice(-15).join("\n")}`);
}

/**
 * Ends a daemon that does not answer and removes what one that was killed has left. Its files name processes by their
 * numbers in a namespace that is gone: to a new daemon another process of that number, itself even, would be the old one.
 */
async function removeState(): Promise<void> {
  const pid = await dockerProcess();
  if (pid !== undefined) process.kill(pid, "SIGKILL");
  while ((await dockerProcess()) !== undefined) await delay(100);
  for (const file of [dockerFiles.socket, dockerFiles.pid, dockerFiles.innerPid])
    await rm(file, { force: true });
  await rm(dockerFiles.run, { recursive: true, force: true });
  await mkdir(dockerFiles.run);
}

/** @returns whether it answers; false: it has ended, or has not answered in time */
async function startDaemon(): Promise<boolean> {
  const log = openSync(dockerFiles.log, "w");
  const daemon = ["dockerd", "--config-file", dockerFiles.config, "--host", dockerEnvironment.DOCKER_HOST];
  // dockerd's own defaults ask for a score that needs CAP_SYS_RESOURCE.
  daemon.push("--oom-score-adjust", "0");
  const child = spawn("unshare", [...apart, ...(await initProgram()), ...daemon], {
    env: childEnvironment(),
    stdio: ["ignore", log, log],
    detached: true,
  });
  closeSync(log);
  await writeFile(dockerFiles.pid, `${child.pid}\n`);
  child.unref();
  const end = Date.now() + startMs;
  while (child.exitCode === null && child.signalCode === null && Date.now() < end) {
    if (await answers()) return true;
    await delay(200);
  }
  return false;
}

function answers(): Promise<boolean> {
  return succeeds("docker", ["version"], { env: dockerEnvironment });
}

/** Somebody who waits for the orphans of the process namespace. */
async function initProgram(): Promise<readonly string[]> {
  for (const program of ["docker-init", "tini"]) {
    if (await succeeds("sh", ["-c", `command -v ${program}`])) return [program, "--"];
  }
  return [];
}

async function daemonConfig({ sysResource }: Host): Promise<Record<string, unknown>> {
  const config = {
    "data-root": dockerFiles.data,
    "exec-root": dockerFiles.run,
    pidfile: dockerFiles.innerPid,
    "exec-opts": ["native.cgroupdriver=cgroupfs"],
    "cgroup-parent": `/${controlGroup}`,
  };
  if (sysResource) return config;
  const wrapper = join(cacheDirectory, "runc-restricted");
  await writeFile(wrapper, wrapperScript(fileURLToPath(new URL("runtime-spec.ts", import.meta.url))));
  await chmod(wrapper, 0o755);
  return { ...config, runtimes: { restricted: { path: wrapper } }, "default-runtime": "restricted" };
}

/** An OCI runtime: runc, after the bundle has lost what this machine cannot give. */
function wrapperScript(edit: string): string {
  return `#!/bin/sh
for argument; do
  case "$argument" in
    create | run | exec)
      '${process.execPath}' '${edit}' "$@" || exit
      break ;;
  esac
done
exec runc "$@"
`;
}

/** The process of `unshare` that the own daemon hangs on; undefined: it does not run. */
export async function dockerProcess(): Promise<number | undefined> {
  if (!existsSync(dockerFiles.pid)) return undefined;
  const pid = Number(await readFile(dockerFiles.pid, "utf8"));
  const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  return command.startsWith("unshare\0") && command.includes(cacheDirectory) ? pid : undefined;
}

/** Runs docker with the own daemon. */
export function docker(args: readonly string[], options: { cwd?: string } = {}): Promise<string> {
  return run("docker", args, { ...options, env: dockerEnvironment });
}
