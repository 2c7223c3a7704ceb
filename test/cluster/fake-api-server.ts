import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import jsonPatch, { type Operation } from "fast-json-patch";

interface KubernetesObject {
  metadata: { name: string; uid?: string; resourceVersion?: string; [key: string]: unknown };
  [key: string]: unknown;
}

const secretPath = "/api/v1/namespaces/nix-closure/secrets";
const webhooksPath = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";

/**
 * The few requests of the Kubernetes API that the webhook makes, over HTTP: Secrets and MutatingWebhookConfigurations with
 * resource versions and watches, /version and /metrics. It is as strict as the real one where two writers meet.
 */
export class FakeApiServer implements AsyncDisposable {
  /** Objects by path. */
  readonly objects = new Map<string, KubernetesObject>();
  /** "GET /path", in the order of arrival; watches are "WATCH /path". */
  readonly requests: string[] = [];
  version: Readonly<Record<string, string>> = { major: "1", minor: "36", gitVersion: "v1.36.3" };
  /** The server's clock. */
  clock = (): Date => new Date();
  /** The page of /metrics, or the status of its refusal. */
  metrics: string | number = 403;
  /** While set, every request is answered with this status. */
  broken: number | undefined;
  /** While true, requests get no answer. */
  silent = false;
  /** While true, whatever would change something is forbidden. */
  readOnly = false;
  /** A moment between a request and its work, for races. */
  pause: Promise<void> = Promise.resolve();

  readonly #server: Server;
  readonly #watches = new Set<{ path: string; response: ServerResponse }>();
  #version = 1;
  #directory = "";

  private constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  static async start(): Promise<FakeApiServer> {
    const api = new FakeApiServer();
    await new Promise<void>((resolve) => api.#server.listen(0, "127.0.0.1", resolve));
    api.#directory = await mkdtemp(join(tmpdir(), "nix-closure-api-"));
    const server = `http://127.0.0.1:${(api.#server.address() as AddressInfo).port}`;
    await writeFile(
      api.kubeconfig,
      JSON.stringify({
        apiVersion: "v1",
        kind: "Config",
        "current-context": "fake",
        contexts: [{ name: "fake", context: { cluster: "fake", user: "fake" } }],
        clusters: [{ name: "fake", cluster: { server, "insecure-skip-tls-verify": true } }],
        users: [{ name: "fake", user: { token: "secret" } }],
      }),
    );
    return api;
  }

  get kubeconfig(): string {
    return join(this.#directory, "kubeconfig");
  }

  get secret(): KubernetesObject | undefined {
    return this.objects.get(`${secretPath}/nix-closure-ca`);
  }

  /** A value of the Secret, decoded. */
  secretValue(key: string): string {
    const data = (this.secret?.["data"] ?? {}) as Record<string, string>;
    return Buffer.from(data[key] ?? "", "base64").toString();
  }

  deleteSecret(): void {
    this.objects.delete(`${secretPath}/nix-closure-ca`);
    this.#changed(`${secretPath}/nix-closure-ca`);
  }

  /** Tells who watches the Secret that something is new. */
  touch(): void {
    this.#changed(`${secretPath}/nix-closure-ca`);
  }

  setSecret(data: Readonly<Record<string, string>>): void {
    this.#store(`${secretPath}/nix-closure-ca`, { metadata: { name: "nix-closure-ca" }, stringData: data });
  }

  /** Applies the manifest as an installation does: whatever caBundle was there is gone. */
  installWebhooks(...extra: object[]): void {
    const service = { namespace: "nix-closure", name: "nix-closure-webhook", path: "/mutate" };
    this.#store(`${webhooksPath}/nix-closure`, {
      metadata: { name: "nix-closure" },
      webhooks: [...extra, { name: "pods.nix.closure", clientConfig: { service } }],
    });
  }

  /** The caBundle of each entry, PEM; undefined: it has none. */
  get bundles(): readonly (string | undefined)[] {
    const { webhooks } = this.objects.get(`${webhooksPath}/nix-closure`) as unknown as {
      webhooks: { clientConfig: { caBundle?: string } }[];
    };
    return webhooks.map(({ clientConfig: { caBundle } }) =>
      caBundle === undefined ? undefined : Buffer.from(caBundle, "base64").toString(),
    );
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "", "http://fake");
    const path = url.pathname;
    response.setHeader("date", this.clock().toUTCString());
    let body = "";
    for await (const chunk of request) body += String(chunk);
    const watch = url.searchParams.get("watch") === "true";
    this.requests.push(`${watch ? "WATCH" : request.method} ${path}`);
    await this.pause;
    const send = (status: number, value: unknown): void => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    };
    const refuse = (status: number, message: string): void =>
      send(status, { kind: "Status", message, code: status });
    if (this.silent) return;
    if (this.broken !== undefined) return refuse(this.broken, "the server is broken for a test");
    if (this.readOnly && request.method !== "GET") return refuse(403, "forbidden for a test");
    if (path === "/version") return send(200, this.version);
    if (path === "/metrics") {
      if (typeof this.metrics === "number") return refuse(this.metrics, "there are no metrics");
      response.writeHead(200).end(this.metrics);
      return;
    }
    if (watch) {
      const name = (url.searchParams.get("fieldSelector") ?? "").replace("metadata.name=", "");
      response.writeHead(200, { "content-type": "application/json" }).flushHeaders();
      const present = this.objects.get(`${path}/${name}`);
      if (present !== undefined) response.write(`${JSON.stringify({ type: "ADDED", object: present })}\n`);
      const entry = { path: `${path}/${name}`, response };
      this.#watches.add(entry);
      response.on("close", () => this.#watches.delete(entry));
      return;
    }
    if (request.method === "POST") {
      const object = JSON.parse(body) as KubernetesObject;
      const created = `${path}/${object.metadata.name}`;
      if (this.objects.has(created)) return refuse(409, "already exists");
      return send(201, this.#store(created, object));
    }
    const found = this.objects.get(path);
    if (found === undefined) return refuse(404, "not found");
    if (request.method === "GET") return send(200, found);
    if (request.method === "PUT") {
      const object = JSON.parse(body) as KubernetesObject;
      if (object.metadata.resourceVersion !== found.metadata.resourceVersion)
        return refuse(409, "the object has been modified");
      return send(200, this.#store(path, object));
    }
    try {
      const patched = jsonPatch.applyPatch(found, JSON.parse(body) as Operation[], true, false).newDocument;
      send(200, this.#store(path, patched));
    } catch (error) {
      refuse(422, String(error));
    }
  }

  #store(path: string, object: KubernetesObject): KubernetesObject {
    const { stringData, ...rest } = structuredClone(object) as KubernetesObject & {
      stringData?: Record<string, string>;
    };
    const encoded = Object.entries(stringData ?? {}).map(([key, value]) => [
      key,
      Buffer.from(value).toString("base64"),
    ]);
    const stored: KubernetesObject = {
      ...rest,
      ...(stringData === undefined ? {} : { data: Object.fromEntries(encoded) }),
      metadata: {
        ...object.metadata,
        uid: this.objects.get(path)?.metadata.uid ?? `uid-${this.#version}`,
        resourceVersion: String(++this.#version),
      },
    };
    this.objects.set(path, stored);
    this.#changed(path);
    return stored;
  }

  #changed(path: string): void {
    const event = { type: "MODIFIED", object: this.objects.get(path) ?? { metadata: {} } };
    for (const watch of this.#watches)
      if (watch.path === path) watch.response.write(`${JSON.stringify(event)}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
    await rm(this.#directory, { recursive: true, force: true });
  }
}
