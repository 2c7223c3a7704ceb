import { spawn } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { capture } from "../../demo/child.ts";
import type { Pod } from "../../src/patch/pod.ts";
import type { AdmissionResponse } from "../../src/webhook/review.ts";
import { patched, podWith, ReviewClient, reviewOf } from "../webhook/https-client.ts";
import { suite } from "./fixture.ts";
import { launcher } from "./push-machine.ts";
import { nixClosure } from "./registry.ts";

/** Keys take a while to make, and each webhook of a test file may have the same. */
let certificates: Promise<string> | undefined;
function madeCertificates(): Promise<string> {
  const directory = join(suite.directory, `webhook-certs-${process.pid}`);
  certificates ??= nixClosure(["certs", "--out", directory, "--days", "1"]).then(() => directory);
  return certificates;
}

/** What a webhook has made of a Pod. */
export interface Review {
  readonly response: AdmissionResponse;
  /** With the patch, if there is one. */
  readonly pod: Pod | undefined;
}

/** `nix-closure serve --role webhook` in a process of its own, with a certificate of `nix-closure certs`. */
export class ServedWebhook implements AsyncDisposable {
  readonly #client: ReviewClient;
  readonly #end: () => Promise<void>;

  private constructor(client: ReviewClient, end: () => Promise<void>) {
    this.#client = client;
    this.#end = end;
  }

  /**
   * @param directory is made
   * @param sources as in the configuration; the first one is the default
   */
  static async start(directory: string, sources: Readonly<Record<string, object>>): Promise<ServedWebhook> {
    await mkdir(directory, { recursive: true });
    const certs = await madeCertificates();
    const config = {
      sources,
      defaultSource: Object.keys(sources)[0],
      registry: { reference: suite.host },
      webhook: {
        listen: "127.0.0.1:0",
        certFile: join(certs, "tls.pem"),
        keyFile: join(certs, "tls.key"),
      },
      admin: { listen: "127.0.0.1:0" },
    };
    const file = join(directory, "webhook.yaml");
    await writeFile(file, stringify(config));
    const child = spawn(process.execPath, [launcher, "serve", "--role", "webhook", "--config", file], {
      env: { ...process.env, ...suite.env, KUBECONFIG: "" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const kill = (): boolean => child.kill("SIGKILL");
    process.once("exit", kill);
    const ended = capture(child).finally(() => process.off("exit", kill));
    const serving = new Promise<number>((resolve) => {
      let log = "";
      child.stdout.on("data", (text: string) => {
        log += text;
        const line = log.split("\n").find((each) => each.includes('"msg":"serving"'));
        if (line !== undefined) resolve((JSON.parse(line) as { ports: { webhook: number } }).ports.webhook);
      });
    });
    const port = await Promise.race([serving, ended]);
    if (typeof port !== "number") throw new Error(`the webhook ended: ${port.stdout}${port.stderr}`);
    const ca = await readFile(join(certs, "ca.pem"), "utf8");
    return new ServedWebhook(new ReviewClient(port, { ca }), async () => {
      kill();
      await ended;
    });
  }

  /** Sends the review of a new Pod with these annotations. */
  async review(annotations: Readonly<Record<string, string>>, spec: object = {}): Promise<Review> {
    const pod = podWith(annotations, spec);
    const response = await this.#client.review(reviewOf(pod), "?timeout=10s");
    return { response, pod: response.patch === undefined ? undefined : patched(pod, response) };
  }

  /** The Pod that gets this closure; throws with the webhook's words if it is refused. */
  async admit(root: string, strategy = "auto"): Promise<Pod> {
    const annotations = { "nix.closure": root, "nix.closure/strategy": strategy };
    const { response, pod } = await this.review(annotations, {
      containers: [{ name: "app", image: "nix.closure/base" }],
    });
    if (pod === undefined) throw new Error(`refused: ${response.status?.message}`);
    return pod;
  }

  /** The words with which a Pod with this closure is refused; throws if it is not. */
  async refusal(root: string): Promise<string> {
    const { response } = await this.review({ "nix.closure": root });
    if (response.allowed) throw new Error(`${root} was allowed`);
    return response.status?.message ?? "";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }
}
