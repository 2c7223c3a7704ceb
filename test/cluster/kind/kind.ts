import { join } from "node:path";
import { cacheDirectory } from "./cache.ts";
import { run } from "./command.ts";
import type { Engine } from "./engine.ts";

/** Where the cluster's credentials are written. */
export const kubeconfig = join(cacheDirectory, "kubeconfig");

/** A kind that talks to one Docker daemon. */
export interface Kind {
  create(options: { readonly config: string; readonly image: string }): Promise<void>;
  load(name: string, image: string): Promise<void>;
  delete(name: string): Promise<void>;
}

/** @param program path of kind */
export function createKind(program: string, engine: Engine): Kind {
  const kind = async (...args: string[]): Promise<void> => {
    await run(program, args, { env: { ...engine.environment, KUBECONFIG: kubeconfig } });
  };
  return {
    create: ({ config, image }) => kind("create", "cluster", "--config", config, "--image", image),
    load: (name, image) => kind("load", "docker-image", image, "--name", name),
    delete: (name) => kind("delete", "cluster", "--name", name),
  };
}
