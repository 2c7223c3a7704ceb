import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { sha256Digest } from "../../src/oci/digest.ts";

/** Answers one request in place of the registry, or does something before the registry answers. */
export type Fault = (call: Call) => unknown;

export interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  /** The upload that the URL names. */
  readonly upload: Upload | undefined;
}

interface Upload {
  readonly repository: string;
  bytes: Buffer;
}

export interface SeenRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  status: number | undefined;
}

/** A registry in memory, on 127.0.0.1, that ends with the test; it can be told to fail. */
export class RegistryServer {
  readonly requests: SeenRequest[] = [];
  /** By `<repository>@<digest>`. */
  readonly blobs = new Map<string, Buffer>();
  /** By `<repository>@<digest>` and `<repository>:<tag>`. */
  readonly manifests = new Map<string, { readonly type: string; readonly bytes: Buffer }>();
  readonly uploads = new Map<string, Upload>();
  /** Says who may do a request; sends the refusal itself. */
  authorize: (call: Call) => boolean = () => true;
  /** OCI-Chunk-Min-Length of its answers. */
  minPiece: number | undefined;
  /** Whether Locations are absolute. */
  absolute = false;
  readonly #faults: { readonly on: RegExp; readonly fault: Fault; left: number }[] = [];
  readonly #server: Server;
  readonly #scheme: string;
  #nextUpload = 1;

  private constructor(tls: { readonly cert: string; readonly key: string } | undefined) {
    const serve = (request: IncomingMessage, response: ServerResponse): void => {
      void this.#serve(request, response);
    };
    this.#scheme = tls === undefined ? "http" : "https";
    this.#server = tls === undefined ? createServer(serve) : createTlsServer(tls, serve);
  }

  static async start(tls?: { readonly cert: string; readonly key: string }): Promise<RegistryServer> {
    const server = new RegistryServer(tls);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => server.stop());
    return server;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get origin(): string {
    return `${this.#scheme}://${this.host}`;
  }

  /** Methods and paths without query that were asked for. */
  get calls(): readonly string[] {
    return this.requests.map(({ method, path }) => `${method} ${path.replace(/\?.*/, "")}`);
  }

  /**
   * Lets requests fail.
   *
   * @param on of `<METHOD> <path with query>`.
   */
  fail(on: RegExp, fault: Fault | number, times = 1): void {
    this.#faults.push({ on, fault: typeof fault === "number" ? withStatus(fault) : fault, left: times });
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url: path = "" } = request;
    const url = new URL(path, this.origin);
    const seen: SeenRequest = { method, path, headers: request.headers, status: undefined };
    this.requests.push(seen);
    response.once("finish", () => (seen.status = response.statusCode));
    request.on("error", () => undefined);
    const upload = this.uploads.get(url.pathname.split("/").at(-1) ?? "");
    const call = { request, response, url, upload };
    try {
      const fault = this.#faults.find(({ on, left }) => left > 0 && on.test(`${method} ${path}`));
      if (fault !== undefined) {
        fault.left--;
        await fault.fault(call);
        if (response.headersSent || request.socket.destroyed) return;
      }
      if (this.authorize(call)) await this.#answer(call);
    } catch {
      // The client has gone in the middle of a body; what came so far is kept.
      response.destroy();
    }
  }

  async #answer(call: Call): Promise<void> {
    const { method } = call.request;
    const [, repository = "", kind, name = ""] =
      /^\/v2\/(.+)\/(manifests|blobs\/uploads|blobs)\/([^/]*)$/.exec(call.url.pathname) ?? [];
    if (kind === "manifests" && method === "PUT") return this.#putManifest(call, repository, name);
    if (kind === "manifests") return this.#getManifest(call, repository, name);
    if (kind === "blobs") return this.#getBlob(call, repository, name);
    if (kind === "blobs/uploads" && name === "") return this.#begin(call, repository);
    if (kind === "blobs/uploads") return this.#upload(call, name);
    refuse(call.response, 404, "NOT_FOUND");
  }

  #getManifest({ request, response }: Call, repository: string, name: string): void {
    const found = this.manifests.get(`${repository}${name.includes(":") ? "@" : ":"}${name}`);
    if (found === undefined) return refuse(response, 404, "MANIFEST_UNKNOWN");
    response.writeHead(200, {
      "content-type": found.type,
      "content-length": found.bytes.length,
      "docker-content-digest": sha256Digest(found.bytes),
    });
    response.end(request.method === "HEAD" ? "" : found.bytes);
  }

  async #putManifest({ request, response }: Call, repository: string, name: string): Promise<void> {
    const bytes = await bodyOf(request);
    const digest = sha256Digest(bytes);
    const stored = { type: request.headers["content-type"] ?? "", bytes };
    this.manifests.set(`${repository}@${digest}`, stored);
    this.manifests.set(`${repository}:${name}`, stored);
    response.writeHead(201, { "docker-content-digest": digest, location: "/" }).end();
  }

  #getBlob({ request, response }: Call, repository: string, digest: string): void {
    const found = this.blobs.get(`${repository}@${digest}`);
    if (found === undefined) return refuse(response, 404, "BLOB_UNKNOWN");
    response.writeHead(200, { "content-length": found.length, "docker-content-digest": digest });
    response.end(request.method === "HEAD" ? "" : found);
  }

  #begin({ response, url }: Call, repository: string): void {
    const [mount, from] = [url.searchParams.get("mount"), url.searchParams.get("from")];
    const mounted = this.blobs.get(`${from}@${mount}`);
    if (mounted !== undefined) {
      this.blobs.set(`${repository}@${mount}`, mounted);
      response.writeHead(201, { "docker-content-digest": mount ?? "" }).end();
      return;
    }
    const id = `upload-${this.#nextUpload++}`;
    this.uploads.set(id, { repository, bytes: Buffer.alloc(0) });
    response.writeHead(202, this.#place(id)).end();
  }

  async #upload(call: Call, id: string): Promise<void> {
    const { request, response, url, upload } = call;
    if (upload === undefined) return refuse(response, 404, "BLOB_UPLOAD_UNKNOWN");
    if (request.method === "GET") return void response.writeHead(204, this.#place(id)).end();
    const range = request.headers["content-range"];
    if (range !== undefined && !range.startsWith(`${upload.bytes.length}-`)) {
      return refuse(response, 416, "RANGE_INVALID");
    }
    await receive(call);
    if (request.method === "PATCH") return void response.writeHead(202, this.#place(id)).end();
    this.uploads.delete(id);
    const digest = url.searchParams.get("digest") ?? "";
    if (sha256Digest(upload.bytes) !== digest) return refuse(response, 400, "DIGEST_INVALID");
    this.blobs.set(`${upload.repository}@${digest}`, upload.bytes);
    response.writeHead(201, { "docker-content-digest": digest }).end();
  }

  #place(id: string): Record<string, string> {
    const { repository, bytes } = this.uploads.get(id) ?? { repository: "", bytes: [] };
    // The query is a part of the session, as that of distribution.
    const path = `/v2/${repository}/blobs/uploads/${id}?_state=${id}%3D`;
    return {
      location: this.absolute ? this.origin + path : path,
      range: `0-${Math.max(0, bytes.length - 1)}`,
      ...(this.minPiece === undefined ? {} : { "oci-chunk-min-length": String(this.minPiece) }),
    };
  }
}

/** Adds what comes to the upload until its end, or until there are so many bytes, or the client goes. */
export async function receive({ request, upload }: Call, most = Infinity): Promise<void> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      chunks.push(chunk.subarray(0, most - size));
      size += chunk.length;
      if (size >= most) return;
    }
  } finally {
    if (upload !== undefined) upload.bytes = Buffer.concat([upload.bytes, ...chunks]);
  }
}

export async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The registry's form of an error. */
export function refuse(response: ServerResponse, status: number, code: string, message = "words"): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify({ errors: [{ code, message, detail: {} }] }));
}

/** A fault: an answer with a status, after the whole body was read. */
export function withStatus(status: number, headers: Record<string, string> = {}, body = ""): Fault {
  return async ({ request, response }) => {
    await bodyOf(request);
    response.writeHead(status, headers).end(body);
  };
}

/** A fault: the connection breaks after so many bytes of the body, which the registry keeps. */
export function breakAfter(bytes: number): Fault {
  return async (call) => {
    if (bytes > 0) await receive(call, bytes);
    call.request.socket.destroy();
  };
}
