import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Agent, fetch } from "undici";
import { freePort, writeDemoConfiguration } from "../demo/configuration.ts";
import { writeDevelopmentCertificates } from "../src/webhook/tls/development.ts";
import { buildPeer } from "./peers/build.ts";
import { ServerProcess } from "./server-process.ts";

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** A directory of one run, with the certificate that all servers of the run have. */
export class Workshop implements AsyncDisposable {
  readonly directory: string;
  readonly #certificates: Awaited<ReturnType<typeof writeDevelopmentCertificates>>;
  readonly #ca: Agent;

  private constructor(
    directory: string,
    certificates: Awaited<ReturnType<typeof writeDevelopmentCertificates>>,
    ca: Agent,
  ) {
    this.directory = directory;
    this.#certificates = certificates;
    this.#ca = ca;
  }

  static async open(): Promise<Workshop> {
    const directory = await mkdtemp(join(tmpdir(), "nix-closure-bench-"));
    const certificates = await writeDevelopmentCertificates(directory, { days: 1, now: new Date() });
    const ca = new Agent({ connect: { ca: await readFile(certificates.caPath, "utf8") } });
    return new Workshop(directory, certificates, ca);
  }

  /** The service as `nix-closure serve` runs it, over the demo's cache. */
  async ours(): Promise<ServerProcess> {
    const ports = { webhook: await freePort(), registry: await freePort(), admin: 0 };
    const config = join(this.directory, "nix-closure.yaml");
    await writeDemoConfiguration(config, {
      ports,
      certificates: this.#certificates,
      blobs: join(this.directory, "blobs"),
    });
    const command = [process.execPath, file("../bin/nix-closure.js"), "serve", "--config", config];
    return ServerProcess.start(command, ports.webhook);
  }

  /** @param answerBytes length of its answer */
  async bare(answerBytes: number): Promise<ServerProcess> {
    const port = await freePort();
    const { certificatePath, keyPath } = this.#certificates;
    const command = [process.execPath, file("bare-server.ts"), String(port), String(answerBytes)];
    return ServerProcess.start([...command, certificatePath, keyPath], port);
  }

  /** @param additions what it appends to an annotated Pod: annotations, volumes, mounts */
  async controllerRuntime(additions: object): Promise<ServerProcess> {
    const port = await freePort();
    const { certificatePath, keyPath } = this.#certificates;
    const list = await this.write("additions.json", JSON.stringify(additions));
    const flags = { port, cert: certificatePath, key: keyPath, additions: list };
    const words = Object.entries(flags).map(([name, value]) => `-${name}=${value}`);
    return ServerProcess.start([await buildPeer("admission-go"), ...words], port);
  }

  /** Writes a file of the run. */
  async write(name: string, text: string): Promise<string> {
    const path = join(this.directory, name);
    await writeFile(path, text);
    return path;
  }

  /** Posts one review. */
  async post(url: string, review: string): Promise<string> {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: review,
      dispatcher: this.#ca,
    });
    if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${await answer.text()}`);
    return answer.text();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ca.destroy();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** Where a server takes reviews. */
export function reviewUrl({ port }: ServerProcess): string {
  return `https://localhost:${port}/mutate?timeout=10s`;
}
