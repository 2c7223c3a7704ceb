import { spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { capture } from "../../demo/child.ts";
import { type KeyPair, makeKeyPair } from "../../src/nix/key-pair.ts";
import type { PushJson } from "../push/pusher.ts";
import { demoSource, demoUrl } from "../service/demo-cache.ts";
import { suite } from "./fixture.ts";

/** The program as users call it. */
export const launcher = fileURLToPath(new URL("../../bin/nix-closure.js", import.meta.url));

/** Where Node keeps what it has compiled: each push is a process of its own. */
const compiled = join(suite.directory, "compiled");

/** How a command ended. */
export interface CommandOutcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A machine, as in CI, from which closures of the demo's cache are pushed by processes of their own. */
export class PushMachine {
  readonly directory: string;
  readonly keyFile: string;
  /** Of the key that it signs with. */
  readonly publicKey: string;
  readonly env: Readonly<Record<string, string>>;
  readonly #config: string;

  readonly key: KeyPair;

  private constructor(directory: string, key: KeyPair) {
    this.directory = directory;
    this.key = key;
    this.publicKey = key.publicKey;
    this.keyFile = join(directory, "shop-1.secret");
    this.#config = join(directory, "push.yaml");
    this.env = { ...suite.env, XDG_CACHE_HOME: join(directory, "cache"), NODE_COMPILE_CACHE: compiled };
  }

  /**
   * @param directory is made
   * @param key that it signs with
   */
  static async make(directory: string, key: KeyPair = makeKeyPair("shop-1")): Promise<PushMachine> {
    await mkdir(directory, { recursive: true });
    const machine = new PushMachine(directory, key);
    await writeFile(machine.keyFile, key.secretKey);
    const sources = { demo: demoSource(demoUrl) };
    await writeFile(machine.#config, stringify({ sources, defaultSource: "demo" }));
    return machine;
  }

  /** The words of a push to `<host>/<repository>`. */
  words(to: string, args: readonly string[]): readonly string[] {
    return [launcher, "push", "--config", this.#config, "--to", to, "--sign-key", this.keyFile, ...args];
  }

  /** Pushes, and expects that it succeeds. */
  async push(
    to: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<PushJson> {
    const { code, stdout, stderr } = await this.tryPush(to, ["--json", ...args], env);
    if (code !== 0) throw new Error(`push to ${to} ended with ${code}: ${stderr}`);
    return JSON.parse(stdout) as PushJson;
  }

  /** Pushes, however that ends. */
  tryPush(
    to: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<CommandOutcome> {
    return capture(
      spawn(process.execPath, this.words(to, args), {
        env: { ...process.env, ...this.env, ...env },
        stdio: ["ignore", "pipe", "pipe"],
      }),
    );
  }

  /** Writes a configuration whose only source, `shop`, is a repository that was pushed to. */
  async readingConfig(registry: string, source: object = {}): Promise<string> {
    const file = join(this.directory, `read-${registry.replaceAll(/[^a-z0-9]+/g, "-")}.yaml`);
    const shop = { registry, publicKeys: [this.publicKey], ...source };
    await writeFile(file, stringify({ sources: { shop }, admin: { listen: "127.0.0.1:0" } }));
    return file;
  }
}
