import type { MessagePort } from "node:worker_threads";

import { type ConversionMessage, fromErrorData, type GrowthRequest } from "./conversion-task.ts";

/** A worker's way to whoever ordered the conversion. */
export class ConversionChannel {
  readonly #port: MessagePort;
  readonly #abort = new AbortController();
  #granted: number;
  #waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;

  constructor(port: MessagePort, granted: number) {
    this.#port = port;
    this.#granted = granted;
    port.on("message", (message: ConversionMessage) => this.#onMessage(message));
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Waits until the layer may have so many bytes. One call at a time. */
  async allow(size: number): Promise<void> {
    this.signal.throwIfAborted();
    if (size <= this.#granted) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting = { resolve, reject };
    this.#port.postMessage({ size } satisfies GrowthRequest, []);
    await promise;
  }

  close(): void {
    this.#port.close();
  }

  #onMessage(message: ConversionMessage): void {
    switch (message.type) {
      case "granted":
        this.#granted = message.size;
        this.#waiting?.resolve();
        break;
      case "refused":
        this.#waiting?.reject(fromErrorData(message.error));
        break;
      case "abort": {
        const error = fromErrorData(message.error);
        this.#abort.abort(error);
        this.#waiting?.reject(error);
        break;
      }
    }
  }
}
