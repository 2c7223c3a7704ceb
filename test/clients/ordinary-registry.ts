import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { freePort } from "../../demo/configuration.ts";
import { createAuthority, issueServerCertificate } from "../../src/webhook/tls/authority.ts";
import { run } from "../programs/command.ts";
import { distributionEnvironment } from "../programs/distribution.ts";
import { until } from "../service/demo-cache.ts";
import { suite } from "./fixture.ts";

/** The registries of others that closures are pushed to, and their programs. */
export const ordinaryRegistries = {
  distribution: suite.programs.distribution,
  "docker-registry": "docker-registry",
} as const;
export type OrdinaryRegistryName = keyof typeof ordinaryRegistries;
export const ordinaryRegistryNames = Object.keys(ordinaryRegistries) as OrdinaryRegistryName[];

/** Who may do everything where a registry wants to know. */
export const user = { name: "pusher", password: "correct horse:1" } as const;
/** htpasswd(1) with bcrypt, the only kind that these registries take: `htpasswd -B`. */
const htpasswd = `${user.name}:$2b$05$abcdefghijklmnopqrstuuyhW3as9mr2iNJNjR839W2/ax0K/zddC\n`;

export interface OrdinaryRegistryOptions {
  /** A certificate of an authority of its own. */
  readonly tls?: boolean;
  /** Nobody but {@link user} is let in. */
  readonly login?: boolean;
}

/** A registry of others with its storage in a directory; it runs as a process of its own. */
export class OrdinaryRegistry implements AsyncDisposable {
  readonly name: OrdinaryRegistryName;
  /** `127.0.0.1:<port>` */
  readonly host: string;
  readonly origin: string;
  /** Of its authority, if it speaks TLS. */
  readonly caFile: string | undefined;
  readonly storage: string;
  readonly configFile: string;
  readonly #log: string;
  #child: ChildProcess | undefined;

  private constructor(name: OrdinaryRegistryName, directory: string, host: string, tls: boolean) {
    this.name = name;
    this.host = host;
    this.origin = `${tls ? "https" : "http"}://${host}`;
    this.caFile = tls ? join(directory, "ca.pem") : undefined;
    this.storage = join(directory, "storage");
    this.configFile = join(directory, "config.yaml");
    this.#log = join(directory, "log");
  }

  /** @param directory is made; all of the registry's files are there */
  static async start(
    name: OrdinaryRegistryName,
    directory: string,
    options: OrdinaryRegistryOptions = {},
  ): Promise<OrdinaryRegistry> {
    const { tls = false, login = false } = options;
    await mkdir(directory, { recursive: true });
    const host = `127.0.0.1:${await freePort()}`;
    const registry = new OrdinaryRegistry(name, directory, host, tls);
    const passwords = join(directory, "htpasswd");
    if (login) await writeFile(passwords, htpasswd);
    const config = {
      version: 0.1,
      log: { level: "warn" },
      storage: {
        cache: { blobdescriptor: "inmemory" },
        filesystem: { rootdirectory: registry.storage },
        delete: { enabled: true },
      },
      http: { addr: host, ...(tls ? { tls: await makeCertificate(directory) } : {}) },
      ...(login ? { auth: { htpasswd: { realm: "closures", path: passwords } } } : {}),
    };
    await writeFile(registry.configFile, stringify(config));
    await registry.resume();
    return registry;
  }

  /** Serves, again. */
  async resume(): Promise<void> {
    const child = spawn(ordinaryRegistries[this.name], ["serve", this.configFile], {
      env: { ...process.env, ...distributionEnvironment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr])
      stream.pipe(createWriteStream(this.#log, { flags: "a" }));
    const end = (): boolean => child.kill("SIGKILL");
    process.once("exit", end);
    child.once("exit", () => process.off("exit", end));
    this.#child = child;
    // Whatever the certificate: that somebody answers is enough.
    const answers = (): Promise<boolean> =>
      run("curl", ["--silent", "--insecure", "--output", "/dev/null", `${this.origin}/v2/`]).then(
        () => true,
        () => false,
      );
    await until(async () => {
      if (child.exitCode !== null) throw new Error(`${this.name} ended: ${await this.log()}`);
      return answers();
    });
  }

  /** Ends at once; what it has stored stays. */
  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  }

  /** Runs its garbage collection, while it does not serve. */
  async collectGarbage(...flags: readonly string[]): Promise<void> {
    await this.stop();
    await run(ordinaryRegistries[this.name], ["garbage-collect", ...flags, this.configFile], {
      env: distributionEnvironment,
    });
    await this.resume();
  }

  /** What it has written, accesses too. */
  log(): Promise<string> {
    return readFile(this.#log, "utf8");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Writes the files of a certificate for this machine, and of its authority's. @returns `http.tls` of a configuration */
async function makeCertificate(
  directory: string,
): Promise<{ readonly certificate: string; readonly key: string }> {
  const now = new Date();
  const authority = await createAuthority({ commonName: "registry", days: 1, now });
  const names = { dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] };
  const issued = await issueServerCertificate(authority, { ...names, days: 1, now });
  const [certificate, key] = [join(directory, "tls.pem"), join(directory, "tls.key")];
  await writeFile(join(directory, "ca.pem"), authority.certificatePem);
  await writeFile(certificate, issued.certificatePem);
  await writeFile(key, issued.keyPem);
  return { certificate, key };
}
