import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../programs/command.ts";

/** Images and containers of podman's, apart from those that the machine has. */
export interface PodmanStore {
  readonly directory: string;
  /** What podman needs to know of it. */
  readonly env: Readonly<Record<string, string>>;
}

/** Files that hold a table of keys each, in TOML, which is JSON's strings and lists with other separators. */
const toml = (table: Readonly<Record<string, string | readonly string[]>>): string =>
  Object.entries(table)
    .map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
    .join("");

/** Makes an empty store. */
export async function makePodmanStore(directory: string): Promise<PodmanStore> {
  await mkdir(directory, { recursive: true });
  const [containersConf, storageConf] = ["containers.conf", "storage.conf"].map((name) =>
    join(directory, name),
  ) as [string, string];
  const engine = {
    // crun refuses machines with both versions of cgroups; runc takes any.
    runtime: "runc",
    cgroup_manager: "cgroupfs",
    events_logger: "none",
    // Locks in shared memory would be those of the machine's own podman.
    lock_type: "file",
    tmp_dir: join(directory, "libpod"),
  };
  // podman's defaults for root are above what a process without CAP_SYS_RESOURCE may have.
  const containers = { default_ulimits: ["nofile=1024:1024", "nproc=1024:1024"], log_driver: "k8s-file" };
  await writeFile(containersConf, `[containers]\n${toml(containers)}\n[engine]\n${toml(engine)}`);
  const storage = {
    driver: "overlay",
    graphroot: join(directory, "root"),
    runroot: join(directory, "run"),
  };
  await writeFile(storageConf, `[storage]\n${toml(storage)}`);
  return {
    directory,
    env: { CONTAINERS_CONF: containersConf, CONTAINERS_STORAGE_CONF: storageConf },
  };
}

/** Ends the containers of a store and removes it, whatever state it is in. */
export async function removePodmanStore({ directory, env }: PodmanStore): Promise<void> {
  await run("podman", ["rm", "--all", "--force", "--time", "0"], { env }).catch(() => {});
  for (const mountPoint of await mountsBelow(directory)) await run("umount", [mountPoint]);
  await rm(directory, { recursive: true, force: true });
}

/** Mount points below a directory, inner ones first. */
async function mountsBelow(directory: string): Promise<readonly string[]> {
  // proc(5): the fifth field is the mount point, with \ooo for white space.
  return (await readFile("/proc/self/mountinfo", "utf8"))
    .split("\n")
    .map((line) =>
      (line.split(" ")[4] ?? "").replace(/\\(\d{3})/g, (_, octal: string) =>
        String.fromCharCode(Number.parseInt(octal, 8)),
      ),
    )
    .filter((mountPoint) => mountPoint.startsWith(`${directory}/`))
    .toReversed();
}
