import { spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { capture } from "../../demo/child.ts";
import { freePort } from "../../demo/configuration.ts";
import { run } from "../programs/command.ts";

const launcher = fileURLToPath(new URL("../../bin/nix-closure.js", import.meta.url));

/** A source of the configuration file. */
export interface SourceKeys {
  readonly caches: readonly string[];
  readonly publicKeys: readonly string[];
}

/** A registry that runs as users run it, in a process of its own. */
export interface Registry extends AsyncDisposable {
  /** Host part of references. */
  readonly host: string;
  readonly configFile: string;
  /** `registry.blobs.directory` */
  readonly blobs: string;
}

/**
 * Starts a registry at 127.0.0.1 whose files are in `directory`.
 *
 * @param sources the first one is the default
 * @throws Error with its log if it does not serve
 */
export async function startRegistry(
  directory: string,
  sources: Readonly<Record<string, SourceKeys>>,
): Promise<Registry> {
  await mkdir(directory, { recursive: true });
  const host = `localhost:${await freePort()}`;
  const [configFile, blobs] = [join(directory, "nix-closure.yaml"), join(directory, "blobs")];
  const config = {
    sources,
    defaultSource: Object.keys(sources)[0],
    registry: { listen: host, reference: host, blobs: { directory: blobs, maxBytes: "2Gi" } },
    kubelet: { registryPullQPS: 0 },
    admin: { listen: "127.0.0.1:0" },
  };
  await writeFile(configFile, stringify(config));
  const args = [launcher, "serve", "--role", "registry", "--config", configFile];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  const end = (): boolean => child.kill("SIGKILL");
  process.once("exit", end);
  const ended = capture(child).finally(() => process.off("exit", end));
  const serving = new Promise<"serving">((resolve) => {
    let log = "";
    child.stdout.on("data", (text: string) => {
      log += text;
      if (log.includes('"msg":"serving"')) resolve("serving");
    });
  });
  const first = await Promise.race([serving, ended]);
  if (first !== "serving") throw new Error(`the registry ended: ${first.stdout}${first.stderr}`);
  return {
    host,
    configFile,
    blobs,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      const { code, stdout, stderr } = await ended;
      if (code !== 0) throw new Error(`the registry ended with ${code}: ${stdout.slice(-2000)}${stderr}`);
    },
  };
}

/** Runs a command of nix-closure to its end and returns its standard output. */
export async function nixClosure(args: readonly string[], input = ""): Promise<string> {
  return run(process.execPath, [launcher, ...args], { input });
}
