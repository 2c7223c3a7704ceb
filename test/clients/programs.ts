import { join } from "node:path";
import { cacheRoot } from "../programs/cache.ts";
import { run, succeeds } from "../programs/command.ts";
import { installPackages } from "../programs/debian-packages.ts";
import { distribution } from "../programs/distribution.ts";
import { buildGoModule, type GoModule } from "../programs/go-module.ts";

/** Debian's package of each program: clients, what podman runs containers with, a registry, and who unpacks and compares. */
const packages = {
  skopeo: "skopeo",
  podman: "podman",
  "docker-registry": "docker-registry",
  runc: "runc",
  "nix-store": "nix-bin",
  zstd: "zstd",
  tar: "tar",
  curl: "curl",
};

const modules = {
  crane: {
    name: "crane",
    module: "github.com/google/go-containerregistry",
    version: "v0.22.1",
    packages: ["cmd/crane"],
  },
  oras: { name: "oras", module: "oras.land/oras", version: "v1.3.6", packages: ["cmd/oras"] },
  conformance: {
    name: "conformance",
    module: "github.com/opencontainers/distribution-spec/conformance",
    version: "v0.0.0-20260831232431-97274622c111",
    packages: ["."],
  },
  distribution,
} as const satisfies Readonly<Record<string, GoModule>>;

/** Versions of the programs that are built from their Go modules, without a "v". */
export const moduleVersions: Readonly<Record<string, string>> = Object.fromEntries(
  Object.values(modules).map(({ name, version }) => [name, version.slice(1)]),
);

/** Paths of the programs that are built from their Go modules. */
export type BuiltPrograms = Readonly<Record<keyof typeof modules, string>>;

/**
 * Installs and builds the programs that are missing.
 *
 * @param onPart hears what is about to be built
 * @throws Error that says what this machine lacks
 */
export async function preparePrograms(onPart: (what: string) => void): Promise<BuiltPrograms> {
  // Of Python, python3-minimal is not enough: it has no tarfile.
  const hasPython = await succeeds("python3", ["-c", "import tarfile"]);
  const installed = await installPackages({
    ...packages,
    ...(hasPython ? {} : { "/usr/share/doc/python3": "python3" }),
  });
  if (installed.length > 0) onPart(`installed ${installed.join(", ")}`);
  for (const program of ["skopeo", "podman", "docker-registry"])
    onPart((await run(program, ["--version"])).trim());
  const built: [string, string][] = [];
  for (const part of Object.values(modules)) {
    onPart(`${part.name} ${part.version.slice(1)}`);
    const directory = await buildGoModule(part, join(cacheRoot, "tools"));
    built.push([part.name, join(directory, part === distribution ? "registry" : part.name)]);
  }
  return Object.fromEntries(built) as BuiltPrograms;
}
