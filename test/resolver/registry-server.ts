import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { sha256Digest } from "../../src/oci/digest.ts";
import type { Document } from "../../src/oci/documents.ts";
import { type Answer, withStatus } from "./cache-server.ts";

/** How a registry wants to see who asks, with the one login that it takes. */
export interface RegistryLogin {
  readonly scheme: "basic" | "bearer";
  readonly user: string;
  password: string;
}

/** The read side of an ordinary registry with the repository `nix`, on 127.0.0.1, that ends with the test. */
export class RegistryServer {
  /** Manifests by tag and by digest. */
  readonly manifests = new Map<string, Document>();
  readonly blobs = new Map<string, Uint8Array>();
  /** All requests so far that were let through: `manifests/<tag>` and so on; those for tokens are not among them. */
  readonly requests: string[] = [];
  /** Requests for tokens, and such that had none. */
  tokens = 0;
  challenges = 0;
  login: RegistryLogin | undefined;
  #answers = new Map<string, Answer>();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => this.#serve(request, response));
  }

  static async start(): Promise<RegistryServer> {
    const server = new RegistryServer();
    await server.listen(0);
    onTestFinished(() => server.stop());
    return server;
  }

  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** `<host>/<repository>`. */
  get repository(): string {
    return `${this.host}/nix`;
  }

  /** Puts a manifest where its digest leads, and under a tag. */
  putManifest(document: Document, tag?: string): void {
    this.manifests.set(document.digest, document);
    if (tag !== undefined) this.manifests.set(tag, document);
  }

  putBlob(bytes: Uint8Array): void {
    this.blobs.set(sha256Digest(bytes), bytes);
  }

  /** Sets the answer for `manifests/<tag>` and so on, or for everything with `*`. */
  answer(what: string, answer: Answer | number): void {
    this.#answers.set(what, typeof answer === "number" ? withStatus(answer) : answer);
  }

  /** Takes back all answers that were set. */
  recover(): void {
    this.#answers.clear();
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "", `http://${this.host}`);
    if (url.pathname === "/token") {
      this.tokens++;
      if (!this.#isLoggedIn(request)) return withStatus(401)(response, request);
      response.end(JSON.stringify({ token: this.#token, expires_in: 300 }));
      return;
    }
    if (!this.#isAllowed(request)) return this.#challenge(response);
    const what = url.pathname.replace("/v2/nix/", "");
    this.requests.push(what);
    const answer = this.#answers.get(what) ?? this.#answers.get("*");
    if (answer !== undefined) return answer(response, request);
    const [kind, reference = ""] = what.split("/");
    const manifest = kind === "manifests" ? this.manifests.get(reference) : undefined;
    const bytes = kind === "blobs" ? this.blobs.get(reference) : manifest?.bytes;
    if (bytes === undefined) return withStatus(404)(response, request);
    response.setHeader("content-type", manifest?.mediaType ?? "application/octet-stream");
    response.end(bytes);
  }

  #challenge(response: ServerResponse): void {
    this.challenges++;
    const realm = `Bearer realm="http://${this.host}/token",service="test",scope="repository:nix:pull"`;
    const header = this.login?.scheme === "basic" ? 'Basic realm="test"' : realm;
    response.writeHead(401, { "www-authenticate": header }).end();
  }

  #isAllowed(request: IncomingMessage): boolean {
    if (this.login === undefined) return true;
    if (this.login.scheme === "basic") return this.#isLoggedIn(request);
    return request.headers.authorization === `Bearer ${this.#token}`;
  }

  #isLoggedIn({ headers }: IncomingMessage): boolean {
    const { user, password } = this.login ?? { user: "", password: "" };
    const pair = Buffer.from(`${user}:${password}`).toString("base64");
    return this.login === undefined || headers.authorization === `Basic ${pair}`;
  }

  get #token(): string {
    return `token of ${this.login?.password}`.replaceAll(" ", "-");
  }
}
