import { createHash, randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { onTestFinished } from "vitest";

/** What a request is about. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  /** Bytes of its body. */
  readonly bytes: number;
}

/** Answers a request in the registry's place; true if it did. */
export type Interference = (request: IncomingMessage, response: ServerResponse) => boolean;

interface StoredRepository {
  readonly blobs: Set<string>;
  readonly manifests: Map<string, { readonly mediaType: string; readonly bytes: Buffer }>;
  readonly tags: Map<string, string>;
}

/**
 * A registry in memory that keeps to OCI distribution-spec 1.1: blobs belong to repositories, and a manifest is taken only
 * where all that it names is there. It counts what it is asked.
 */
export class MemoryRegistry {
  readonly requests: SeenRequest[] = [];
  /** Digest to bytes, of all repositories. */
  readonly blobs = new Map<string, Buffer>();
  readonly repositories = new Map<string, StoredRepository>();
  /** Takes blobs over from other repositories. */
  mounts = true;
  interfere: Interference = () => false;
  readonly #uploads = new Map<string, Buffer[]>();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      void this.#serve(request, response);
    });
  }

  /** One at 127.0.0.1 that ends with the test. */
  static async start(): Promise<MemoryRegistry> {
    const registry = new MemoryRegistry();
    await new Promise<void>((resolve) => registry.#server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => registry.stop());
    return registry;
  }

  /** `<host>:<port>` */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Bytes of all bodies so far. */
  get received(): number {
    return this.requests.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Requests that change something. */
  get writes(): readonly SeenRequest[] {
    return this.requests.filter(({ method }) => method !== "GET" && method !== "HEAD");
  }

  /** Forgets the requests so far. */
  reset(): void {
    this.requests.length = 0;
  }

  repository(name: string): StoredRepository {
    let found = this.repositories.get(name);
    if (found === undefined) {
      found = { blobs: new Set(), manifests: new Map(), tags: new Map() };
      this.repositories.set(name, found);
    }
    return found;
  }

  /** The JSON document under a tag or digest. */
  manifest(name: string, reference: string): Record<string, unknown> {
    const { manifests, tags } = this.repository(name);
    const found = manifests.get(tags.get(reference) ?? reference);
    if (found === undefined) throw new Error(`${name} has no ${reference}`);
    return JSON.parse(found.bytes.toString()) as Record<string, unknown>;
  }

  /** The tags of a repository whose index, or anything below it, names what is not there. */
  broken(name: string): readonly string[] {
    const repository = this.repository(name);
    const isWhole = (digest: string): boolean => {
      const stored = repository.manifests.get(digest);
      return (
        stored !== undefined &&
        namedIn(stored.bytes).every(({ digest: named, isManifest }) =>
          isManifest ? isWhole(named) : repository.blobs.has(named) && this.blobs.has(named),
        )
      );
    };
    return [...repository.tags].filter(([, digest]) => !isWhole(digest)).map(([tag]) => tag);
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url = "" } = request;
    if (this.interfere(request, response)) {
      this.requests.push({ method, path: url, bytes: 0 });
      return;
    }
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    } catch {
      // The client is gone.
      return;
    }
    const body = Buffer.concat(chunks);
    this.requests.push({ method, path: url, bytes: body.length });
    const { pathname, searchParams } = new URL(url, "http://registry");
    const [, name = "", kind = "", rest = ""] =
      /^\/v2\/(.+?)\/(blobs\/uploads|blobs|manifests|tags)\/(.*)$/.exec(pathname) ?? [];
    if (kind === "blobs/uploads") this.#upload(method, name, rest, searchParams, body, response);
    else if (kind === "blobs") this.#blob(method, name, rest, response);
    else if (kind === "manifests") this.#manifest(request, name, rest, body, response);
    else if (pathname === "/v2/") response.writeHead(200).end();
    else refuse(response, 404, "NAME_UNKNOWN");
  }

  #blob(method: string, name: string, digest: string, response: ServerResponse): void {
    const bytes = this.repository(name).blobs.has(digest) ? this.blobs.get(digest) : undefined;
    if (bytes === undefined) return refuse(response, 404, "BLOB_UNKNOWN");
    response.writeHead(200, { "content-length": bytes.length, "docker-content-digest": digest });
    response.end(method === "HEAD" ? undefined : bytes);
  }

  #upload(
    method: string,
    name: string,
    session: string,
    query: URLSearchParams,
    body: Buffer,
    response: ServerResponse,
  ): void {
    if (method === "POST") {
      const [mount, from] = [query.get("mount"), query.get("from")];
      if (this.mounts && mount !== null && from !== null && this.repository(from).blobs.has(mount)) {
        this.repository(name).blobs.add(mount);
        response
          .writeHead(201, { location: `/v2/${name}/blobs/${mount}`, "docker-content-digest": mount })
          .end();
        return;
      }
      const id = randomUUID();
      this.#uploads.set(id, []);
      response.writeHead(202, { location: `/v2/${name}/blobs/uploads/${id}?state=x`, range: "0-0" }).end();
      return;
    }
    const parts = this.#uploads.get(session);
    if (parts === undefined) return refuse(response, 404, "BLOB_UPLOAD_UNKNOWN");
    if (method === "DELETE") {
      this.#uploads.delete(session);
      response.writeHead(204).end();
      return;
    }
    parts.push(body);
    const bytes = Buffer.concat(parts);
    const location = `/v2/${name}/blobs/uploads/${session}?state=x`;
    if (method === "PATCH") {
      response.writeHead(202, { location, range: `0-${Math.max(0, bytes.length - 1)}` }).end();
      return;
    }
    if (method === "GET") {
      response.writeHead(204, { location, range: `0-${Math.max(0, bytes.length - 1)}` }).end();
      return;
    }
    const digest = query.get("digest") ?? "";
    this.#uploads.delete(session);
    if (digestOf(bytes) !== digest) return refuse(response, 400, "DIGEST_INVALID");
    this.blobs.set(digest, bytes);
    this.repository(name).blobs.add(digest);
    response
      .writeHead(201, { location: `/v2/${name}/blobs/${digest}`, "docker-content-digest": digest })
      .end();
  }

  #manifest(
    request: IncomingMessage,
    name: string,
    reference: string,
    body: Buffer,
    response: ServerResponse,
  ): void {
    const repository = this.repository(name);
    if (request.method === "PUT") {
      const digest = digestOf(body);
      const missing = namedIn(body).find(({ digest: named, isManifest }) =>
        isManifest ? !repository.manifests.has(named) : !repository.blobs.has(named),
      );
      if (missing !== undefined) return refuse(response, 400, "MANIFEST_BLOB_UNKNOWN");
      const mediaType = request.headers["content-type"] ?? "";
      repository.manifests.set(digest, { mediaType, bytes: body });
      if (!reference.startsWith("sha256:")) repository.tags.set(reference, digest);
      else if (reference !== digest) return refuse(response, 400, "DIGEST_INVALID");
      response
        .writeHead(201, { location: `/v2/${name}/manifests/${digest}`, "docker-content-digest": digest })
        .end();
      return;
    }
    const digest = repository.tags.get(reference) ?? reference;
    const found = repository.manifests.get(digest);
    if (found === undefined) return refuse(response, 404, "MANIFEST_UNKNOWN");
    response.writeHead(200, {
      "content-type": found.mediaType,
      "content-length": found.bytes.length,
      "docker-content-digest": digest,
    });
    response.end(request.method === "HEAD" ? undefined : found.bytes);
  }
}

/** What a manifest or index names. */
function namedIn(bytes: Uint8Array): readonly { readonly digest: string; readonly isManifest: boolean }[] {
  const { config, layers, manifests } = JSON.parse(Buffer.from(bytes).toString()) as {
    readonly config?: { readonly digest: string };
    readonly layers?: readonly { readonly digest: string }[];
    readonly manifests?: readonly { readonly digest: string }[];
  };
  return [
    ...[...(config === undefined ? [] : [config]), ...(layers ?? [])].map(({ digest }) => ({
      digest,
      isManifest: false,
    })),
    ...(manifests ?? []).map(({ digest }) => ({ digest, isManifest: true })),
  ];
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function refuse(response: ServerResponse, status: number, code: string): void {
  const body = JSON.stringify({ errors: [{ code, message: code.toLowerCase() }] });
  response.writeHead(status, { "content-type": "application/json" }).end(body);
}
