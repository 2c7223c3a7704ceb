import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { demoCache, demoPublicKey, freePort } from "../../../demo/configuration.ts";
import { type KeyPair, makeKeyPair } from "../../../src/nix/key-pair.ts";
import { storeHash, type StorePath } from "../../../src/nix/store-path.ts";
import { run } from "../../programs/command.ts";
import { installPackages } from "../../programs/debian-packages.ts";
import { docker } from "./node.ts";
import { dockerConfig, OrdinaryRegistry } from "./ordinary-registry.ts";

/** Two registries on this machine, and who pushes closures of the demo's cache to them. */
export class PushedClosures implements AsyncDisposable {
  readonly first: OrdinaryRegistry;
  readonly second: OrdinaryRegistry;
  readonly #directory: string;
  readonly #pair: KeyPair;
  readonly #resources: AsyncDisposableStack;

  private constructor(
    [first, second]: readonly [OrdinaryRegistry, OrdinaryRegistry],
    {
      directory,
      pair,
      resources,
    }: {
      readonly directory: string;
      readonly pair: KeyPair;
      readonly resources: AsyncDisposableStack;
    },
  ) {
    this.first = first;
    this.second = second;
    this.#directory = directory;
    this.#pair = pair;
    this.#resources = resources;
  }

  /** @param node of the cluster, from which the registries are reached as from all of them */
  static async make(node: string): Promise<PushedClosures> {
    await installPackages({ skopeo: "skopeo" });
    await using made = new AsyncDisposableStack();
    const directory = await mkdtemp(join(tmpdir(), "nix-closure-pushed-"));
    made.defer(() => rm(directory, { recursive: true }));
    const address = await gatewayOf(node);
    const start = async (name: string): Promise<OrdinaryRegistry> => {
      const login = { user: name, password: `the password of ${name}` };
      const port = await freePort();
      return made.use(await OrdinaryRegistry.start(join(directory, name), { address, port, login }));
    };
    const registries = [await start("first"), await start("second")] as const;
    const pair = makeKeyPair("suite-1");
    await writeFile(join(directory, "key"), pair.secretKey);
    await writeFile(join(directory, "config.json"), dockerConfig(registries));
    const pushed = new PushedClosures(registries, { directory, pair, resources: made.move() });
    await writeFile(join(directory, "ca.pem"), await pushed.authorities());
    return pushed;
  }

  get registries(): readonly OrdinaryRegistry[] {
    return [this.first, this.second];
  }

  /** The key that all is signed with. */
  get publicKey(): string {
    return this.#pair.publicKey;
  }

  /** Certificates of the registries' authorities, PEM. */
  async authorities(): Promise<string> {
    return (await Promise.all(this.registries.map(({ caFile }) => readFile(caFile, "utf8")))).join("");
  }

  /** `nix-closure push` of roots of the demo's cache to a repository of the first registry. */
  async push(repository: string, ...roots: readonly string[]): Promise<void> {
    const from = ["--from", pathToFileURL(demoCache).href, "--public-key", demoPublicKey];
    await this.#cli("push", repository, ...roots, ...from, "--sign-key", join(this.#directory, "key"));
  }

  /** `nix-closure push-base` to a repository of the first registry. @returns the base image's tag and digest */
  async pushBase(repository: string): Promise<{ readonly tag: string; readonly digest: string }> {
    return JSON.parse(await this.#cli("push-base", repository, "--json")) as { tag: string; digest: string };
  }

  #cli(command: string, repository: string, ...args: readonly string[]): Promise<string> {
    const program = fileURLToPath(new URL("../../../bin/nix-closure.js", import.meta.url));
    const to = ["--to", `${this.first.host}/${repository}`, "--ca-file", this.first.caFile];
    return run(process.execPath, [program, command, ...args, ...to], {
      cwd: this.#directory,
      env: { DOCKER_CONFIG: this.#directory, XDG_CACHE_HOME: join(this.#directory, "cache") },
    });
  }

  /** Takes what has a tag out of the first registry, as its administrator does. */
  async delete(repository: string, tag: string): Promise<void> {
    await this.#skopeo("delete", `docker://${this.first.host}/${repository}:${tag}`);
  }

  /** Copies what has these tags from the first registry into a directory, in the layout of OCI. */
  async export(repository: string, ...tags: readonly string[]): Promise<void> {
    for (const tag of tags) {
      const from = `docker://${this.first.host}/${repository}:${tag}`;
      await this.#skopeo("copy", "--all", from, this.#layout(tag));
    }
  }

  /** Copies it from there into the second one. */
  async import(repository: string, ...tags: readonly string[]): Promise<void> {
    for (const tag of tags) {
      const to = `docker://${this.second.host}/${repository}:${tag}`;
      await this.#skopeo("copy", "--all", this.#layout(tag), to);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }

  #layout(tag: string): string {
    return `oci:${join(this.#directory, "layout")}:${tag}`;
  }

  async #skopeo(...args: readonly string[]): Promise<void> {
    const env = {
      REGISTRY_AUTH_FILE: join(this.#directory, "config.json"),
      SSL_CERT_FILE: join(this.#directory, "ca.pem"),
    };
    await run("skopeo", args, { env });
  }
}

/** The tag of a root's closure. */
export function tagOf(root: string): string {
  return storeHash(root as StorePath);
}

/** This machine's address on the nodes' network. */
async function gatewayOf(node: string): Promise<string> {
  const format = "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}";
  return (await docker("inspect", "--format", format, node)).trim();
}
