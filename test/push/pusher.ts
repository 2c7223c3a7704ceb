import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { makeKeyPair } from "../../src/nix/key-pair.ts";
import { parsePublicKey, type PublicKey } from "../../src/nix/signature.ts";
import { cli, configFile, type Outcome, scratch } from "../cli/fake-process.ts";
import "../compile-cache.ts";
import type { MemoryRegistry } from "./memory-registry.ts";

/** One key for all tests of a file: what is signed with it is the same from everywhere. */
const pair = makeKeyPair("shop-1");

/** The form of `push --json`. */
export interface PushJson {
  readonly repository: string;
  readonly dryRun: boolean;
  readonly closures: readonly {
    readonly reference: string;
    readonly tag: string;
    readonly digest?: string;
    readonly roots: readonly string[];
    readonly system: string;
    readonly paths: number;
    readonly narSize: number;
    readonly images: number;
    readonly unchanged: boolean;
    readonly replaced?: string;
  }[];
  readonly sent: Count;
  readonly present: Count;
  readonly mounted: Count;
  readonly manifests: number;
  readonly seconds: number;
}

interface Count {
  readonly blobs: number;
  readonly bytes: number;
}

/** A machine from which closures of the demo's cache are pushed: its files are gone after the test. */
export class Pusher {
  readonly home: string;
  readonly keyFile: string;
  readonly config: string;
  readonly publicKey: PublicKey = parsePublicKey(pair.publicKey);
  readonly registry: MemoryRegistry;

  private constructor(registry: MemoryRegistry, home: string, config: string) {
    this.registry = registry;
    this.home = home;
    this.config = config;
    this.keyFile = join(home, "shop-1.secret");
  }

  static async make(registry: MemoryRegistry, configuration: object = {}): Promise<Pusher> {
    const pusher = new Pusher(registry, await scratch(), await configFile(configuration));
    await mkdir(pusher.cache);
    await writeFile(pusher.keyFile, pair.secretKey);
    return pusher;
  }

  get cache(): string {
    return join(this.home, "cache");
  }

  get env(): Record<string, string> {
    return { HOME: this.home, XDG_CACHE_HOME: this.cache, PATH: process.env["PATH"] ?? "" };
  }

  /** The command's words, with a repository and the key. */
  words(args: readonly string[], repository = "nix"): readonly string[] {
    const to = ["--to", `${this.registry.host}/${repository}`];
    const key = args.includes("--dry-run") || args.includes("--sign-key") ? [] : ["--sign-key", this.keyFile];
    return ["push", "--config", this.config, ...to, ...key, ...args];
  }

  /** Runs the command. */
  async run(...args: readonly string[]): Promise<Outcome> {
    return cli(this.words(args), { env: this.env });
  }

  /** Runs it, and expects that it succeeds. */
  async push(...args: readonly string[]): Promise<PushJson> {
    return this.pushTo("nix", ...args);
  }

  /** The same to another repository than the usual one. */
  async pushTo(repository: string, ...args: readonly string[]): Promise<PushJson> {
    const { code, stdout, stderr } = await cli(this.words(["--json", ...args], repository), {
      env: this.env,
    });
    if (code !== 0) throw new Error(`push ended with ${code}: ${stderr}`);
    return JSON.parse(stdout) as PushJson;
  }
}
