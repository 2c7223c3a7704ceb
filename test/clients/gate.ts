import { once } from "node:events";
import { createServer, type IncomingMessage, request as startRequest, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";

/** A request that a client has made. */
export interface SeenRequest {
  readonly method: string;
  readonly url: string;
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
  readonly #server = createServer((request, response) => void this.#pass(request, response));
  #intervention: Intervention | undefined;

  private constructor(port: number) {
    this.#port = port;
  }

  /** @param host of the registry, with its port */
  static async start(host: string): Promise<Gate> {
    const gate = new Gate(Number(host.split(":")[1]));
    gate.#server.listen(0, "127.0.0.1");
    await once(gate.#server, "listening");
    return gate;
  }

  /** Host part of references that go this way. */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Does something about the next request that matches, and only that one. */
  intervene(intervention: Intervention): void {
    this.#intervention = intervention;
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const seen = { method: request.method ?? "", url: request.url ?? "" };
    this.requests.push(seen);
    const intervention = this.#intervention?.matches(seen) === true ? this.#intervention : undefined;
    if (intervention !== undefined) this.#intervention = undefined;
    try {
      await intervention?.before?.();
      await this.#forward(request, response, intervention?.midway);
    } catch {
      // One of both ends is gone: the other one is to see it.
      response.destroy();
    }
  }

  async #forward(
    request: IncomingMessage,
    response: ServerResponse,
    midway: Intervention["midway"],
  ): Promise<void> {
    const { method, url: path, headers } = request;
    const upstream = startRequest({ host: "127.0.0.1", port: this.#port, method, path, headers });
    upstream.end();
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
