import { installPackages } from "../../programs/debian-packages.ts";
import { succeeds } from "./command.ts";

/** Programs and headers that a cluster from own parts needs, and the Debian packages that have them. */
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
  "/usr/include/seccomp.h": "libseccomp-dev",
  "/usr/include/stdlib.h": "libc6-dev",
};

/**
 * Installs what is missing, without starting any service.
 *
 * @returns the packages that were installed
 * @throws Error if this is no Debian, Go is missing, or apt fails
 */
export async function installHostPrograms(): Promise<readonly string[]> {
  if (!(await succeeds("go", ["version"]))) throw new Error("needs Go 1.26 or later (https://go.dev/dl)");
  return installPackages(packages);
}
