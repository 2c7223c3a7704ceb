import { existsSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { demoDirectory } from "../demo-cache.ts";

/** Answers one request. */
export type Answer = (response: ServerResponse, request: IncomingMessage) => void;

/** Files by path without the first slash, beside those of the demo's cache. */
export type Files = ReadonlyMap<string, Uint8Array>;

export interface LyingCacheOptions {
  readonly files?: Files;
  /** The address to listen at. */
  readonly host?: string;
  /** Speaks HTTPS with this pair, PEM, under the name localhost. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** The demo's cache over HTTP or HTTPS, with some answers of one's own. It is honest until it is told what to say. */
export class LyingCache implements AsyncDisposable {
  /** All requests so far: path without the first slash, and the Authorization header. */
  readonly requests: { readonly path: string; readonly authorization: string | undefined }[] = [];
  /** Known once it listens. */
  port = 0;
  readonly #options: LyingCacheOptions;
  readonly #answers = new Map<string, Answer>();
  readonly #server: Server;

  private constructor(options: LyingCacheOptions) {
    this.#options = options;
    const serve = (request: IncomingMessage, response: ServerResponse): void =>
      this.#serve(request, response);
    this.#server = options.tls === undefined ? createServer(serve) : createTlsServer(options.tls, serve);
    // One that is cut off in the middle is a part of the play.
    this.#server.on("clientError", (_, socket) => socket.destroy());
  }

  static async start(options: LyingCacheOptions = {}): Promise<LyingCache> {
    const cache = new LyingCache(options);
    const { host = "127.0.0.1" } = options;
    await new Promise<void>((resolve) => cache.#server.listen(0, host, resolve));
    cache.port = (cache.#server.address() as AddressInfo).port;
    return cache;
  }

  get url(): string {
    const { tls, host = "127.0.0.1" } = this.#options;
    return tls === undefined ? `http://${host}:${this.port}` : `https://localhost:${this.port}`;
  }

  /** What an honest cache has under this name. */
  file(name: string): Uint8Array | undefined {
    const own = this.#options.files?.get(name);
    if (own !== undefined) return own;
    const file = join(demoDirectory, name);
    return /^[\w./-]+$/.test(name) && existsSync(file) ? readFileSync(file) : undefined;
  }

  /** Sets what is said for a file, or for all others with `*`. */
  say(name: string, answer: Answer): void {
    this.#answers.set(name, answer);
  }

  /** The honest answer. */
  tellTruth(name: string, response: ServerResponse): void {
    const file = this.file(name);
    if (file === undefined) response.writeHead(404).end("no such file");
    else response.writeHead(200, { "content-length": file.length }).end(file);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const path = (request.url ?? "").slice(1);
    this.requests.push({ path, authorization: request.headers.authorization });
    // The other end leaves when it has heard enough.
    response.on("error", () => undefined);
    const answer = this.#answers.get(path) ?? this.#answers.get("*");
    if (answer === undefined) this.tellTruth(path, response);
    else answer(response, request);
  }
}
