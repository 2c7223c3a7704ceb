import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { parseConfig } from "../../../src/config.ts";
import { createLogger } from "../../../src/log.ts";
import { startService, type Service, type ServiceOptions } from "../../../src/service/service.ts";
import { podWith, reviewOf, ReviewClient } from "../../webhook/https-client.ts";
import type { TestPair } from "../../webhook/made-pair.ts";
import { signer } from "../../resolver/fake-store.ts";
import { demoKey, until } from "../demo-cache.ts";
import type { LogLine } from "../running-service.ts";

/** Short, so that what hangs is given up within a test; the clocks behind headers and stall tick every second. */
export const shortLimits = {
  requests: { connect: 1000, headers: 1000, stall: 1000, attempt: 1500, patience: 1000 },
  // Threads have to start first, many at a time: only what is sent and then stops is to be given up as fast.
  nar: { connect: 4000, headers: 4000, stall: 1000, patience: 500 },
} satisfies ServiceOptions["cacheLimits"];

/** What the admission says. */
export interface Verdict {
  readonly allowed: boolean;
  readonly status: number | undefined;
  readonly message: string;
  /** References of the images of the patch: repository and tag. */
  readonly images: readonly { readonly repository: string; readonly tag: string }[];
}

/** What a pull says. */
export type Pulled =
  | { readonly status: 200; readonly digest: string; readonly layer: Buffer }
  | {
      readonly status: number;
      readonly code: string;
      readonly detail: string;
      readonly message: string;
      readonly retryAfter: string | null;
    };

interface Descriptor {
  readonly digest: string;
}

/** A real service with sources of these caches, its blobs in a directory of its own. */
export class Trial implements AsyncDisposable {
  readonly log: LogLine[] = [];
  readonly #service: Service;
  readonly #client: ReviewClient;
  readonly #directory: string;

  private constructor(service: Service, ca: string, directory: string, log: LogLine[]) {
    this.#service = service;
    this.#client = new ReviewClient(service.ports.webhook ?? 0, { ca });
    this.#directory = directory;
    this.log = log;
  }

  /**
   * @param sources caches by source. All sources have a bearer token, which is `secret`.
   * @param limits other than the usual ones.
   */
  static async start(
    { pair, ca }: TestPair,
    sources: Readonly<Record<string, readonly string[]>>,
    limits?: ServiceOptions["cacheLimits"],
  ): Promise<Trial> {
    const directory = await mkdtemp(join(tmpdir(), "nix-closure-caches-"));
    const file = (name: string): string => join(directory, name);
    const [certFile, keyFile, bearerTokenFile] = [file("tls.pem"), file("tls.key"), file("token")];
    await writeFile(certFile, pair.certificatePem);
    await writeFile(keyFile, pair.keyPem);
    await writeFile(bearerTokenFile, "secret");
    const publicKeys = [demoKey, signer.publicKey];
    const entries = Object.entries(sources).map(
      ([name, caches]) => [name, { caches, publicKeys, bearerTokenFile }] as const,
    );
    const config = {
      sources: Object.fromEntries(entries),
      defaultSource: entries[0]?.[0],
      registry: { listen: "127.0.0.1:0", blobs: { directory: file("store"), maxBytes: "1Gi" } },
      webhook: { listen: "127.0.0.1:0", certFile, keyFile },
      plan: { strategy: "per-path" },
      // Who pulls here is no kubelet.
      kubelet: { registryPullQPS: 0 },
      admin: { listen: "127.0.0.1:0" },
    };
    const log: LogLine[] = [];
    const service = await startService({
      config: parseConfig(stringify(config), "trial"),
      role: "all",
      version: "1.2.3",
      // What is published is to be what was asked for.
      readAhead: false,
      ...(limits === undefined ? {} : { cacheLimits: limits }),
      log: createLogger({
        level: "debug",
        destination: { write: (line) => log.push(JSON.parse(line) as LogLine) },
      }),
    });
    return new Trial(service, ca, directory, log);
  }

  /** Has a Pod reviewed that wants this closure from this source. */
  async review(source: string, root: string, query = "?timeout=10s"): Promise<Verdict> {
    const pod = podWith({ "nix.closure": `${source}:${root}` });
    const { allowed, status, patch = "" } = await this.#client.review(reviewOf(pod), query);
    const references = Buffer.from(patch, "base64")
      .toString()
      .matchAll(/localhost:5417\/([^":]+):([^"]+)/g);
    const images = [...references].map(([, repository = "", tag = ""]) => ({ repository, tag }));
    return { allowed, status: status?.code, message: status?.message ?? "", images };
  }

  /** Pulls an image as a node does, up to its layer. */
  async pull(repository: string, tag: string): Promise<Pulled> {
    const image = `http://127.0.0.1:${this.#service.ports.registry}/v2/${repository}`;
    const get = async (path: string): Promise<Response> => fetch(`${image}/${path}`);
    const answer = await get(`manifests/${tag}`);
    if (answer.status !== 200) {
      const { errors } = (await answer.json()) as {
        errors: readonly [{ code: string; message: string; detail?: { code: string } }];
      };
      const [{ code, message, detail }] = errors;
      const retryAfter = answer.headers.get("retry-after");
      return { status: answer.status, code, message, detail: detail?.code ?? "", retryAfter };
    }
    const { manifests } = (await answer.json()) as { manifests: readonly [Descriptor] };
    const manifest = (await (await get(`manifests/${manifests[0].digest}`)).json()) as {
      layers: readonly [Descriptor];
    };
    const { digest } = manifest.layers[0];
    const blob = await get(`blobs/${digest}`);
    return { status: 200, digest, layer: Buffer.from(await blob.arrayBuffer()) };
  }

  /** The metrics of the admin server by series, without `nix_closure_`. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    const page = await (await fetch(`http://127.0.0.1:${this.#service.ports.admin}/metrics`)).text();
    const samples = page.matchAll(/^nix_closure_(\S+(?: \S+\})?) (\S+)$/gm);
    return new Map([...samples].map(([, series = "", value]) => [series, Number(value)]));
  }

  /**
   * The blobs that are published, once no conversion leaves anything half-made.
   * @throws Error if one has not the name of its content.
   */
  async published(): Promise<readonly string[]> {
    const store = join(this.#directory, "store");
    await until(async () => (await readdir(join(store, "temporary"))).length === 0);
    const blobs = join(store, "blobs", "sha256");
    const names = await readdir(blobs);
    for (const name of names) {
      const hash = createHash("sha256")
        .update(await readFile(join(blobs, name)))
        .digest("hex");
      if (hash !== name) throw new Error(`blob ${name} is ${hash}`);
    }
    return names.map((name) => `sha256:${name}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#service.close();
    await rm(this.#directory, { recursive: true, force: true });
  }
}
