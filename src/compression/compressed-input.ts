/**
 * The compressed bytes of a NAR on their way into a decoder. Decoders wrap or swallow what goes wrong with their
 * input in ways of their own, so it is kept here: a cache that breaks off is another error than bytes that are wrong.
 */
export class CompressedInput implements AsyncIterable<Uint8Array> {
  readonly #source: AsyncIterable<Uint8Array>;
  readonly #maxBytes: number;
  #bytes = 0;
  #failure: { readonly error: unknown } | undefined;

  /** @param maxBytes more input than this is an error. */
  constructor(source: AsyncIterable<Uint8Array>, maxBytes: number) {
    this.#source = source;
    this.#maxBytes = maxBytes;
  }

  /** Bytes that were handed out so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What the source failed with, if it did. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    const chunks = this.#source[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.#next(chunks);
        if (next === undefined) return;
        this.#bytes += next.length;
        if (this.#bytes > this.#maxBytes)
          throw new Error(`there are more than ${this.#maxBytes} bytes of it`);
        yield next;
      }
    } finally {
      await chunks.return?.();
    }
  }

  async #next(chunks: AsyncIterator<Uint8Array>): Promise<Uint8Array | undefined> {
    try {
      const next = await chunks.next();
      return next.done === true ? undefined : next.value;
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }
}
