import type { Readable } from "node:stream";
import type { Deadline } from "./deadline.ts";
import { noAnswer, type RegistryTimeouts, stalled } from "./timeouts.ts";

/** What a request carries: bytes, or so many of the first bytes of a source as `size` says. */
export type RequestBody = Uint8Array | StreamedBody;

export interface StreamedBody {
  /** Bytes. */
  readonly size: number;
  /** Called once for each attempt. */
  open(): Readable;
  /** Is told of each piece that the connection takes, in bytes. */
  onSent?(bytes: number): void;
}

/** The body of one request on its way. */
export class SentBody {
  readonly headers: Readonly<Record<string, string>>;
  readonly content: Uint8Array | AsyncIterable<Uint8Array> | null;
  /** What the source failed with. */
  failure: unknown;
  /** Bytes that were handed to the connection. */
  sent = 0;
  #source: Readable | undefined;

  /** @param slow the registry may take long to answer when all is sent. */
  constructor(body: RequestBody | undefined, deadline: Deadline, timeouts: RegistryTimeouts, slow: boolean) {
    const patience = slow ? timeouts.commit : timeouts.headers;
    // A connection has to be made first.
    const wait = (): void =>
      deadline.set(timeouts.connect + patience, () => noAnswer(timeouts.connect + patience));
    wait();
    if (body === undefined || body instanceof Uint8Array) {
      this.content = body ?? null;
      this.headers = {};
      this.sent = body?.length ?? 0;
    } else {
      this.headers = { "content-length": String(body.size) };
      this.content = body.size === 0 ? null : this.#stream(body, deadline, timeouts.stall, wait);
    }
  }

  /** Ends the source, read to its end or not. */
  close(): void {
    this.#source?.destroy();
  }

  /** Counts what goes by; the source's pauses are its own, those of the connection have a limit. */
  async *#stream(
    body: StreamedBody,
    deadline: Deadline,
    stall: number,
    sentAll: () => void,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    deadline.clear();
    for await (const chunk of this.#read(body)) {
      this.sent += chunk.length;
      body.onSent?.(chunk.length);
      deadline.set(stall, () => stalled(stall));
      yield chunk;
      deadline.clear();
    }
    sentAll();
  }

  /** As many of the source's bytes as are wanted; keeps in mind what it fails with. */
  async *#read(body: StreamedBody): AsyncGenerator<Uint8Array, void, undefined> {
    let left = body.size;
    try {
      this.#source = body.open();
      for await (const chunk of this.#source as AsyncIterable<Uint8Array>) {
        yield chunk.subarray(0, left);
        left -= Math.min(left, chunk.length);
        if (left === 0) return;
      }
      throw new Error(`the source of a blob ends ${left} bytes before its end`);
    } catch (error) {
      this.failure ??= error;
      throw error;
    }
  }
}
