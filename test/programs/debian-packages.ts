import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { run, succeeds } from "./command.ts";

/** Asked before a package starts a service; 101: not allowed (deb-systemd-invoke(1p), invoke-rc.d(8)). */
const servicePolicy = "/usr/sbin/policy-rc.d";

/**
 * Installs the Debian packages of programs that are missing, without starting any service.
 *
 * @param packages the package that has each program, or each file where the name is a path
 * @returns the packages that were installed
 * @throws Error if this is no Debian, nobody who may install, or apt fails
 */
export async function installPackages(
  packages: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const missing = new Set<string>();
  for (const [program, name] of Object.entries(packages)) {
    const there = program.startsWith("/")
      ? existsSync(program)
      : await succeeds("sh", ["-c", `command -v ${program}`]);
    if (!there) missing.add(name);
  }
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
