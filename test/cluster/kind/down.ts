/** `npm run cluster:down`: takes the cluster away, and everything that was started for it; the cache stays. */
import { readFile, readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { cacheDirectory, scratchDirectory } from "./cache.ts";
import { forgetCluster, programsDirectory, recordedCluster } from "./cluster.ts";
import { processMark, run, succeeds } from "./command.ts";
import { controlGroup, dockerEnvironment, dockerFiles, dockerProcess } from "./docker.ts";
import { kubeconfig } from "./kind.ts";
import { restoreNetworkState } from "./network-state.ts";

/** From the daemon's SIGTERM until it is killed. Milliseconds. */
const graceMs = 30_000;

await removeNodes();
await removeContainers();
await stopDaemon();
await killLeftovers();
await unmountLeftovers();
await restoreNetworkState();
await removeControlGroups("/sys/fs/cgroup");
for (const file of [kubeconfig, dockerFiles.socket, dockerFiles.pid, dockerFiles.innerPid])
  await rm(file, { force: true });
await forgetCluster();
await rm(programsDirectory, { recursive: true, force: true });
await rm(scratchDirectory, { recursive: true, force: true });
await rm(dockerFiles.run, { recursive: true, force: true });
process.stdout.write("The cluster is gone. What was built stays in the cache.\n");

/** In a daemon that was there before, the nodes alone are ours. */
async function removeNodes(): Promise<void> {
  const cluster = await recordedCluster();
  if (cluster?.engine !== "machine") return;
  const filter = `label=io.x-k8s.kind.cluster=${cluster.name}`;
  const ids = (await run("docker", ["ps", "--all", "--quiet", "--filter", filter])).trim();
  if (ids !== "") await run("docker", ["rm", "--force", "--volumes", ...ids.split("\n")]);
}

/** Nodes are containers with anonymous volumes: what `kind delete cluster` does, without needing kind. */
async function removeContainers(): Promise<void> {
  const docker = (...args: string[]): Promise<string> => run("docker", args, { env: dockerEnvironment });
  if (!(await succeeds("docker", ["version"], { env: dockerEnvironment }))) return;
  const ids = (await docker("ps", "--all", "--quiet")).split("\n").filter((id) => id !== "");
  if (ids.length > 0) await docker("rm", "--force", "--volumes", ...ids);
  await docker("network", "prune", "--force");
  // What later builds of the same names have left behind.
  await docker("image", "prune", "--force");
}

async function stopDaemon(): Promise<void> {
  const pid = await dockerProcess();
  if (pid === undefined) return;
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
  const inner = Number(children.trim().split(" ")[0]);
  if (inner > 0) process.kill(inner, "SIGTERM");
  const end = Date.now() + graceMs;
  while ((await dockerProcess()) !== undefined && Date.now() < end) await delay(100);
}

/** What carries our mark: processes of a daemon that did not end, or of an `up` that was killed. */
async function killLeftovers(): Promise<void> {
  const end = Date.now() + graceMs;
  for (;;) {
    const pids = await markedProcesses();
    if (pids.length === 0) return;
    for (const pid of pids) kill(pid);
    if (Date.now() > end) throw new Error(`processes do not end: ${pids.join(", ")}`);
    await delay(100);
  }
}

async function markedProcesses(): Promise<readonly number[]> {
  const mark = `${processMark}=${cacheDirectory}`;
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    const environment = await readFile(`/proc/${name}/environ`, "utf8").catch(() => "");
    if (environment.split("\0").includes(mark)) found.push(Number(name));
  }
  return found;
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

async function unmountLeftovers(): Promise<void> {
  const mounts = (await readFile("/proc/self/mountinfo", "utf8"))
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((point) => point.startsWith(`${cacheDirectory}/`));
  for (const point of mounts.toReversed()) await run("umount", [point]);
}

/** Control groups of containers stay when their processes are killed. */
async function removeControlGroups(root: string): Promise<void> {
  const hierarchies = await readdir(root).catch(() => []);
  for (const hierarchy of ["", ...hierarchies]) await removeTree(join(root, hierarchy, controlGroup));
}

async function removeTree(directory: string): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(directory, entry.name));
  await rmdir(directory).catch(() => {});
}
