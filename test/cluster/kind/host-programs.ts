import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { run, succeeds } from "./command.ts";

/** Programs that a cluster from own parts needs, and the Debian packages that have them. */
const packages: Readonly<Record<string, string>> = {
  dockerd: "docker.io",
  docker: "docker.io",
  debootstrap: "debootstrap",
  gcc: "gcc",
  "pkg-config": "pkg-config",
  iptables: "iptables",
  nft: "nftables",
  ip: "iproute2",
  unshare: "util-linux",
  tar: "tar",
  xz: "xz-utils",
};

/** Asked before a package starts a service; 101: not allowed (deb-systemd-invoke(1p), invoke-rc.d(8)). */
const servicePolicy = "/usr/sbin/policy-rc.d";

/**
 * Installs what is missing, without starting any service.
 *
 * @returns the packages that were installed
 * @throws Error if this is no Debian, Go is missing, or apt fails
 */
export async function installHostPrograms(): Promise<readonly string[]> {
  const missing = new Set<string>();
  for (const [program, name] of Object.entries(packages)) {
    if (!(await succeeds("sh", ["-c", `command -v ${program}`]))) missing.add(name);
  }
  if (!existsSync("/usr/include/seccomp.h")) missing.add("libseccomp-dev");
  if (!existsSync("/usr/include/stdlib.h")) missing.add("libc6-dev");
  if (!(await succeeds("go", ["version"]))) throw new Error("needs Go 1.26 or later (https://go.dev/dl)");
  if (missing.size === 0) return [];
  if (process.getuid?.() !== 0) throw new Error(`needs root to install ${[...missing].join(", ")}`);
  const forbidden = !existsSync(servicePolicy);
  if (forbidden) await writeFile(servicePolicy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    const env = { DEBIAN_FRONTEND: "noninteractive" };
    await run("apt-get", ["update", "-qq"], { env });
    await run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...missing], { env });
  } finally {
    if (forbidden) await rm(servicePolicy);
  }
  return [...missing];
}
