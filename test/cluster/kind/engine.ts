import { run, succeeds } from "./command.ts";
import { dockerEnvironment } from "./docker.ts";
import type { KubernetesRelease } from "./versions.ts";

/** A Docker daemon that a cluster runs in. */
export interface Engine {
  /** own: started by `cluster:up` with all that belongs to it; machine: the one that was there. */
  readonly kind: "own" | "machine";
  /** By which docker and kind find it, on top of this process's environment. */
  readonly environment: Readonly<Record<string, string>>;
}

/** The daemon that `cluster:up` starts. */
export const ownEngine: Engine = { kind: "own", environment: dockerEnvironment };

/** The daemon that docker and kind find by themselves. */
export const machineEngine: Engine = { kind: "machine", environment: {} };

/** How the pull of an image ended. */
export type Pull = "there" | "absent" | "failed";

/** What the machine's own Docker can do, for {@link findPublishedNode}. */
export interface MachineDocker {
  /** Whether a daemon answers that is not the one of `cluster:up`. */
  answers(): Promise<boolean>;
  pull(image: string): Promise<Pull>;
}

/**
 * The node image of kind's own that a cluster can be made of, if this machine's Docker has it or can pull it. kind
 * publishes some releases of each minor version: unless one was asked for by name, an older patch of the same minor
 * version will do.
 *
 * @returns undefined: there is none, so that the cluster is made out of own parts
 */
export async function findPublishedNode(
  release: KubernetesRelease,
  docker: MachineDocker,
): Promise<string | undefined> {
  if (!(await docker.answers())) return undefined;
  const { major, minor, patch, chosen } = release;
  for (let candidate = Number(patch); candidate >= 0; candidate--) {
    const image = `kindest/node:v${major}.${minor}.${candidate}`;
    const pull = await docker.pull(image);
    if (pull === "there") return image;
    if (pull === "failed" || chosen) return undefined;
  }
  return undefined;
}

/** The Docker that this process's environment names, or the one at the default socket. */
export const machineDocker: MachineDocker = {
  answers: async () =>
    process.env["DOCKER_HOST"] !== dockerEnvironment.DOCKER_HOST && (await succeeds("docker", ["version"])),
  async pull(image) {
    if (await succeeds("docker", ["image", "inspect", image])) return "there";
    return run("docker", ["pull", "--quiet", image]).then(
      () => "there",
      (error: Error) => pullFailure(error.message),
    );
  },
};

/** Tells an image that does not exist from a registry that cannot be reached. */
export function pullFailure(message: string): Pull {
  return /manifest unknown|not found: manifest|manifest for .* not found|: not found/i.test(message)
    ? "absent"
    : "failed";
}
