import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { projectRoot } from "./cache.ts";
import { programsDirectory } from "./cluster.ts";
import { run } from "./command.ts";
import { kubeconfig } from "./kind.ts";

/** Runs the cluster's kubectl in the clone and returns what it writes. @throws Error with its output if it fails */
export function kubectl(args: readonly string[], input?: string): Promise<string> {
  return run(join(programsDirectory, "kubectl"), ["--kubeconfig", kubeconfig, ...args], {
    cwd: fileURLToPath(projectRoot),
    ...(input === undefined ? {} : { input }),
  });
}
