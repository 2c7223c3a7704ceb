import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";

/** What of this machine decides how the cluster is made. */
export interface Host {
  /** false: containers here cannot have CAP_SYS_RESOURCE, resource limits, or be spared by the kernel. */
  readonly sysResource: boolean;
  /** Version of the control groups. */
  readonly cgroup: 1 | 2;
}

/** Number of CAP_SYS_RESOURCE (capabilities(7)). */
const capSysResource = 24n;

/** Looks at the machine. */
export async function inspectHost(): Promise<Host> {
  const status = await readFile("/proc/self/status", "utf8");
  const bounding = BigInt(`0x${/^CapBnd:\s*(\w+)/m.exec(status)?.[1] ?? "0"}`);
  return {
    sysResource: ((bounding >> capSysResource) & 1n) === 1n,
    cgroup: existsSync("/sys/fs/cgroup/cgroup.controllers") ? 2 : 1,
  };
}
