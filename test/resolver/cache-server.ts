import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

/** Answers one request. */
export type Answer = (response: ServerResponse, request: IncomingMessage) => void;

/** A binary cache on 127.0.0.1 that ends with the test. */
export class CacheServer {
  /** All requests so far: path with query, and the Authorization header. */
  readonly requests: { readonly path: string; readonly authorization: string | undefined }[] = [];
  readonly #files: ReadonlyMap<string, Uint8Array>;
  readonly #answers = new Map<string, Answer>();
  readonly #server: Server;
  /** Requests at a time: now, and at most so far. */
  open = 0;
  mostOpen = 0;

  private constructor(files: ReadonlyMap<string, Uint8Array>) {
    this.#files = files;
    this.#server = createServer((request, response) => this.#serve(request, response));
  }

  /** @param files by path without the first slash. */
  static async start(files: ReadonlyMap<string, Uint8Array> = new Map()): Promise<CacheServer> {
    const server = new CacheServer(files);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => server.stop());
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The paths that were asked for, without the first slash. */
  get paths(): readonly string[] {
    return this.requests.map(({ path }) => path.slice(1));
  }

  /** Sets the answer for a path, or for all others with `*`. */
  answer(path: string, answer: Answer | number): void {
    this.#answers.set(path, typeof answer === "number" ? withStatus(answer) : answer);
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? "";
    this.requests.push({ path, authorization: request.headers.authorization });
    this.open++;
    this.mostOpen = Math.max(this.mostOpen, this.open);
    response.once("close", () => this.open--);
    const name = path.slice(1);
    const answer = this.#answers.get(name) ?? this.#answers.get("*");
    const file = this.#files.get(name);
    if (answer !== undefined) answer(response, request);
    else if (file === undefined) withStatus(404)(response, request);
    else response.end(file);
  }
}

export function withStatus(status: number, headers: Record<string, string> = {}): Answer {
  return (response) => response.writeHead(status, headers).end(`HTTP ${status}`);
}

export function redirectTo(location: string, status = 302): Answer {
  return withStatus(status, { location });
}

/** The port of a server that is gone: connections to it are refused. */
export async function deadUrl(): Promise<string> {
  const server = await CacheServer.start();
  const { url } = server;
  await server.stop();
  return url;
}
