import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { TestProject } from "vitest/node";
import { createOutput, duration } from "../../demo/output.ts";
import { demoDirectory, demoKey, demoUrl } from "../service/demo-cache.ts";
import { injectPods, type InjectedPod } from "./closures.ts";
import { edgesKey, writeEdgesCache } from "./edges-cache.ts";
import { listCaches, type NarListings } from "./expected.ts";
import { makePodmanStore, removePodmanStore } from "./podman-store.ts";
import { type BuiltPrograms, preparePrograms } from "./programs.ts";
import { type Registry, startRegistry } from "./registry.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** What every file of the suite works with. */
    readonly suite: {
      /** Removed at the end, with all podman stores in its `podman`. */
      readonly directory: string;
      readonly programs: BuiltPrograms;
      /** Of every client. */
      readonly env: Readonly<Record<string, string>>;
      /** Directory of the binary cache with the closure `edges`. */
      readonly edgesCache: string;
      /** Host part of the registry's references. */
      readonly host: string;
      readonly pods: readonly InjectedPod[];
      readonly nars: NarListings;
    };
  }
}

let directory: string | undefined;
let registry: Registry | undefined;

/** Installs the clients, starts a registry and plans the closures. */
export async function setup({ provide }: TestProject): Promise<void> {
  const output = createOutput(process.stdout);
  const started = Date.now();
  output.title("Real clients");
  const programs = await preparePrograms((what) => output.line(what));
  try {
    directory = await mkdtemp(join(tmpdir(), "nix-closure-clients-"));
    const env = await isolatedEnvironment(directory);
    const edgesCache = join(directory, "edges-cache");
    await writeEdgesCache(edgesCache);
    registry = await startRegistry(join(directory, "registry"), {
      demo: { caches: [demoUrl], publicKeys: [demoKey] },
      edges: { caches: [pathToFileURL(edgesCache).href], publicKeys: [edgesKey] },
    });
    const pods = await injectPods(registry.configFile);
    const nars = await listCaches([demoDirectory, edgesCache]);
    provide("suite", { directory, programs, env, edgesCache, host: registry.host, pods, nars });
    output.line(`ready after ${duration(Date.now() - started)}`);
  } catch (error) {
    // vitest does not call the tear-down then.
    await teardown();
    throw error;
  }
}

/** Ends the registry, and removes what the run has made, mounts too. */
export async function teardown(): Promise<void> {
  try {
    await registry?.[Symbol.asyncDispose]();
  } finally {
    if (directory !== undefined) {
      const stores = join(directory, "podman");
      for (const name of await readdir(stores).catch(() => [])) {
        await removePodmanStore(await makePodmanStore(join(stores, name)));
      }
      await rm(directory, { recursive: true, force: true });
    }
  }
}

/** Variables that keep clients from the user's files, and from proxies. */
async function isolatedEnvironment(parent: string): Promise<Readonly<Record<string, string>>> {
  const [home, temporary] = [join(parent, "home"), join(parent, "tmp")];
  await mkdir(home);
  await mkdir(temporary);
  const credentials = join(home, "auth.json");
  await writeFile(credentials, "{}");
  const local = "localhost,127.0.0.1";
  return {
    HOME: home,
    TMPDIR: temporary,
    DOCKER_CONFIG: home,
    REGISTRY_AUTH_FILE: credentials,
    NO_PROXY: local,
    no_proxy: local,
  };
}
