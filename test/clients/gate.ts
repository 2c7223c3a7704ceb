import { once } from "node:events";
import { createServer, type IncomingMessage, request as startRequest, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";

/** A request that a client has made. */
export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  /** Of its body, that have come so far. */
  readonly bytes: number;
}

/** A link that is no loopback. */
export interface SlowLink {
  /** Of bodies of requests, each for itself. */
  readonly bytesPerSecond: number;
  /** Before each request goes on. */
  readonly latencyMs: number;
}

/** What is done about a request before it goes on, or before the body of its answer does. */
export interface Intervention {
  readonly matches: (request: SeenRequest) => boolean;
  readonly before?: () => Promise<void>;
  /** Waited for when the first bytes of the answer have gone out, and more are to come. */
  readonly midway?: () => Promise<void>;
}

/**
 * A proxy between clients and the registry, which changes nothing: it knows what was asked, and can do something at an
 * exact moment of a pull.
 */
export class Gate implements AsyncDisposable {
  readonly requests: SeenRequest[] = [];
  readonly #port: number;
  readonly #link: SlowLink | undefined;
  readonly #server = createServer((request, response) => void this.#pass(request, response));
  #intervention: Intervention | undefined;

  private constructor(port: number, link: SlowLink | undefined) {
    this.#port = port;
    this.#link = link;
  }

  /** @param host of the registry, with its port */
  static async start(host: string, link?: SlowLink): Promise<Gate> {
    const gate = new Gate(Number(host.split(":")[1]), link);
    gate.#server.listen(0, "127.0.0.1");
    await once(gate.#server, "listening");
    return gate;
  }

  /** Host part of references that go this way. */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Requests that change something. */
  get writes(): readonly SeenRequest[] {
    return this.requests.filter(({ method }) => method !== "GET" && method !== "HEAD");
  }

  /** Bytes of the bodies of all requests. */
  get received(): number {
    return this.requests.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Forgets the requests so far. */
  reset(): void {
    this.requests.length = 0;
  }

  /** Does something about the next request that matches, and only that one. */
  intervene(intervention: Intervention): void {
    this.#intervention = intervention;
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const seen = { method: request.method ?? "", url: request.url ?? "", bytes: 0 };
    this.requests.push(seen);
    const intervention = this.#intervention?.matches(seen) === true ? this.#intervention : undefined;
    if (intervention !== undefined) this.#intervention = undefined;
    try {
      await intervention?.before?.();
      if (this.#link !== undefined) await delay(this.#link.latencyMs);
      await this.#forward(request, response, seen, intervention?.midway);
    } catch {
      // One of both ends is gone: the other one is to see it.
      response.destroy();
    }
  }

  async #forward(
    request: IncomingMessage,
    response: ServerResponse,
    seen: { bytes: number },
    midway: Intervention["midway"],
  ): Promise<void> {
    const { method, url: path, headers } = request;
    const upstream = startRequest({ host: "127.0.0.1", port: this.#port, method, path, headers });
    const link = this.#link;
    const sent = pipeline(
      request,
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          if (link !== undefined) await delay((1000 * chunk.length) / link.bytesPerSecond);
          seen.bytes += chunk.length;
          yield chunk;
        }
      },
      upstream,
    );
    // The registry may answer before it has all of a body, and then have no more of it.
    sent.catch(() => undefined);
    const [answer] = (await once(upstream, "response")) as [IncomingMessage];
    response.writeHead(answer.statusCode ?? 500, answer.headers);
    if (midway === undefined) return pipeline(answer, response);
    let isFirst = true;
    await pipeline(
      answer,
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          yield chunk;
          if (isFirst) await midway();
          isFirst = false;
        }
      },
      response,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}
