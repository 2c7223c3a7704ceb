import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { Agent, get } from "node:https";
import { join } from "node:path";
import { stringify } from "yaml";
import { buildDistribution } from "../../../bench/registry-servers.ts";
import { writeDevelopmentCertificates } from "../../../src/webhook/tls/development.ts";
import { installPackages } from "../../programs/debian-packages.ts";
import { distributionEnvironment } from "../../programs/distribution.ts";
import { childEnvironment, run } from "../kind/command.ts";
import { waitFor } from "./kubectl.ts";
import { inNode } from "./node.ts";

/** Who may read and write. */
export interface RegistryLogin {
  readonly user: string;
  readonly password: string;
}

/**
 * A registry as companies run it, on this machine: distribution with TLS by an authority of its own and a login, with
 * its storage in a directory.
 */
export class OrdinaryRegistry implements AsyncDisposable {
  /** `<address>:<port>`, as references begin. */
  readonly host: string;
  readonly login: RegistryLogin;
  /** PEM file of the authority. */
  readonly caFile: string;
  readonly #directory: string;
  readonly #program: string;
  #process: ChildProcess | undefined;

  private constructor(host: string, login: RegistryLogin, directory: string, program: string) {
    this.host = host;
    this.login = login;
    this.caFile = join(directory, "ca.pem");
    this.#directory = directory;
    this.#program = program;
  }

  /**
   * Makes an empty one and starts it.
   *
   * @param directory is made, for its files
   * @param address of this machine, as its clients reach it
   */
  static async start(
    directory: string,
    {
      address,
      port,
      login,
    }: { readonly address: string; readonly port: number; readonly login: RegistryLogin },
  ): Promise<OrdinaryRegistry> {
    await installPackages({ htpasswd: "apache2-utils" });
    await mkdir(directory);
    const certificates = await writeDevelopmentCertificates(directory, {
      names: [address],
      days: 1,
      now: new Date(),
    });
    const htpasswd = join(directory, "htpasswd");
    // bcrypt is the only form that distribution reads.
    await writeFile(htpasswd, await run("htpasswd", ["-nbB", "-C", "4", login.user, login.password]));
    const host = `${address}:${port}`;
    const tls = { certificate: certificates.certificatePath, key: certificates.keyPath };
    const config = {
      version: 0.1,
      log: { level: "error", accesslog: { disabled: true } },
      storage: {
        delete: { enabled: true },
        cache: { blobdescriptor: "inmemory" },
        filesystem: { rootdirectory: join(directory, "storage") },
      },
      http: { addr: host, tls },
      auth: { htpasswd: { realm: "closures", path: htpasswd } },
    };
    await writeFile(join(directory, "config.yaml"), stringify(config));
    const registry = new OrdinaryRegistry(host, login, directory, await buildDistribution());
    await registry.serve();
    return registry;
  }

  /** Starts it again with what it has stored. */
  async serve(): Promise<void> {
    const env = childEnvironment(distributionEnvironment);
    const child = spawn(this.#program, ["serve", this.#configFile], {
      stdio: ["ignore", "ignore", "pipe"],
      env,
    });
    let words = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (words += text));
    this.#process = child;
    await waitFor(`the registry on ${this.host}`, async () => (await this.#ask("/v2/")) === 200, {
      deadlineMs: 10_000,
      everyMs: 50,
    }).catch(async (error: unknown) => {
      await this.stop();
      throw new Error(`${String(error)}: ${words}`, { cause: error });
    });
  }

  /** Ends it; its storage stays. */
  async stop(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Removes what no tag leads to, as its administrator does: with the registry stopped. */
  async collectGarbage(): Promise<void> {
    await this.stop();
    await run(this.#program, ["garbage-collect", "--delete-untagged", this.#configFile], {
      env: distributionEnvironment,
    });
    await this.serve();
  }

  /** Digests of all blobs that it stores, manifests among them. */
  async blobs(): Promise<readonly string[]> {
    const root = join(this.#directory, "storage/docker/registry/v2/blobs/sha256");
    const groups = await readdir(root).catch(() => []);
    const digests = await Promise.all(groups.map((group) => readdir(join(root, group))));
    return digests.flat().map((hex) => `sha256:${hex}`);
  }

  get #configFile(): string {
    return join(this.#directory, "config.yaml");
  }

  /** The status of its answer. */
  async #ask(path: string): Promise<number | undefined> {
    const agent = new Agent({ ca: await readFile(this.caFile) });
    const auth = `${this.login.user}:${this.login.password}`;
    const request = get(`https://${this.host}${path}`, { agent, auth, timeout: 2000 });
    const [answer] = (await once(request, "response")) as [{ statusCode?: number; resume(): void }];
    answer.resume();
    return answer.statusCode;
  }
}

/** Has a node's container runtime believe the registries' authorities (hosts.md of containerd 2.3). */
export async function trustRegistries(node: string, registries: readonly OrdinaryRegistry[]): Promise<void> {
  for (const { host, caFile } of registries) {
    const where = `${runtimeHosts}/${host}`;
    const hosts = `[host."https://${host}"]\n  ca = "${where}/ca.pem"\n`;
    const files = { "ca.pem": await readFile(caFile, "utf8"), "hosts.toml": hosts };
    await inNode(node, "mkdir", "-p", where);
    for (const [name, text] of Object.entries(files))
      await inNode(node, "bash", "-euc", `echo '${text}' > '${where}/${name}'`);
  }
}

/** Takes that back. */
export async function forgetRegistries(node: string, registries: readonly OrdinaryRegistry[]): Promise<void> {
  await inNode(node, "rm", "-rf", ...registries.map(({ host }) => `${runtimeHosts}/${host}`));
}

const runtimeHosts = "/etc/containerd/certs.d";

/** The form in which docker, podman, kubelets and our webhook keep logins. */
export function dockerConfig(registries: readonly OrdinaryRegistry[]): string {
  const auths = registries.map(({ host, login: { user, password } }) => [
    host,
    { auth: Buffer.from(`${user}:${password}`).toString("base64") },
  ]);
  return JSON.stringify({ auths: Object.fromEntries(auths) as unknown });
}
